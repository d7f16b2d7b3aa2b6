"""User-defined kinds, from an empty directory to events in a cluster: in Python and in Perl."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.api import Object, eventually
from tests.cluster.local_cluster import ROOT
from tests.e2e.cluster import Cluster
from tests.e2e.kind_project import KindProject
from tests.e2e.namespace import RestrictedNamespace
from tests.pages import commands

SAMPLES = ROOT / "metacontroller/samples"
CALL = 'import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1], b"ding", 10).status)'
KINDS, PEARL = "registry.local/kinds:dev", "registry.local/pearl:dev"
PERL_KIND = '''\
"""A kind whose adapter is written in Perl."""

from adapter.sdk import Source


class PearlSource(Source):
    """Sends an event every second."""

    api_version = "example.com/v1alpha1"
    event_types = ("com.example.perl",)
'''

pytestmark = pytest.mark.skipif(
    not os.environ.get("BUILD_IMAGE"),
    reason="needs $BUILD_IMAGE (a command that builds an image for the cluster, with the arguments DIRECTORY NAME)",
)


@pytest.fixture
def project(cluster: Cluster, tmp_path: Path) -> KindProject:
    return KindProject(cluster, tmp_path)


def _wait_for_events(ns: RestrictedNamespace) -> list[Object]:
    return list(eventually(ns.displayed_events, bool, "an event at the display", details=ns.describe))


def test_documented_commands_create_install_and_run_a_new_kind(
    project: KindProject, figure: Callable[[str], None]
) -> None:
    started = time.monotonic()
    with project.kind("DoorbellSource", "example.com/v1alpha1") as ns:
        for command in commands("docs/write-a-source.md", "## From an empty directory to the cluster"):
            project.run(command)
            if made := re.match(r"sources manifests .* -o (\S+)", command):
                project.set_namespace_and_image("sink.yaml", ns.name)
                project.set_namespace_and_image(f"{made[1]}/sample.yaml", ns.name)
            if command.startswith("docker"):
                figure(f"own kind: {time.monotonic() - started:.1f} s from an empty directory to its image in the node")

        def shown() -> list[str]:
            return re.findall(r"com\.example\.doorbell  (.*)", ns.kubectl("logs", "deployment/event-display"))

        ns.wait_until_ready("doorbell")
        seen = eventually(shown, bool, "an event at the display", details=lambda: ns.describe("doorbell"))
        figure(
            f"own kind: {time.monotonic() - started:.1f} s from an empty directory to the first event in the cluster"
        )
    assert re.fullmatch(r'\{"sequence": \d+, "greeting": "hello"\}', seen[0])


@pytest.fixture(scope="module")
def letterbox(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> KindProject:
    """A kind from `sources new`, in the image ``KINDS``."""
    project = KindProject(cluster, tmp_path_factory.mktemp("letterbox"))
    project.run("sources new LetterboxSource --listen")
    project.build(project.run("sources image"), KINDS)
    return project


def test_new_listening_kind_receives_requests_at_its_status_address(letterbox: KindProject) -> None:
    with letterbox.installed("LetterboxSource", KINDS) as ns:
        url = ns.read()["status"]["address"]["url"]
        command = f"kubectl -n {ns.name} exec deployment/event-display -- python -c '{CALL}' {url} 2>&1 || true"
        # The pod is ready, but kube-proxy may need a moment longer to route to it.
        eventually(
            lambda: ns.cluster.run(command),
            lambda value: value == "202\n",
            "the source answers 202",
            details=ns.describe,
        )
        [event, *_] = _wait_for_events(ns)
    assert (event["type"], event["data"]) == ("com.example.letterbox", {"path": "/", "body": "ding"})


def test_perl_adapter_sends_events_in_the_cluster(project: KindProject) -> None:
    project.write("kinds/pearl_source.py", PERL_KIND)
    shutil.copy(SAMPLES / "any-language/adapter.pl", project.directory)
    project.build(f'FROM {project.cluster.image}\nCOPY adapter.pl .\nCMD ["./adapter.pl"]\n', PEARL)
    with project.installed("PearlSource", PEARL) as ns:
        [event, *_] = _wait_for_events(ns)
        assert event["source"].endswith("/pearlsources/hello")
        assert event["type"] == "com.example.perl"
