"""User-defined kinds, from an empty directory to events in a cluster: in Python, with a library, and in Perl."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.api import Object, eventually
from tests.cluster.world import ROOT, documents
from tests.e2e.cluster import Cluster
from tests.e2e.place import Place
from tests.e2e.workshop import Workshop
from tests.pages import commands

SAMPLES = ROOT / "metacontroller/samples"
CALL = 'import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1], b"ding", 10).status)'
KINDS, PEARL = "registry.local/kinds:dev", "registry.local/pearl:dev"
PERL_KIND = '''\
"""What is in spec, and what becomes of it: its adapter is in Perl."""

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
def workshop(cluster: Cluster, tmp_path: Path) -> Workshop:
    return Workshop(cluster, tmp_path)


def _shown(place: Place) -> list[Object]:
    return list(eventually(place.events_shown, bool, "an event at the display", more=place.story))


def test_documented_commands_create_install_and_run_a_new_kind(
    workshop: Workshop, figure: Callable[[str], None]
) -> None:
    started = time.monotonic()
    with workshop.kind("DoorbellSource", "example.com/v1alpha1") as place:
        for command in commands("docs/write-a-source.md", "## From an empty directory to the cluster"):
            workshop.run(command)
            if made := re.match(r"sources manifests .* -o (\S+)", command):
                workshop.adapt("sink.yaml", place.namespace)
                workshop.adapt(f"{made[1]}/sample.yaml", place.namespace)
            if command.startswith("docker"):
                figure(f"own kind: {time.monotonic() - started:.1f} s from an empty directory to its image in the node")

        def shown() -> list[str]:
            return re.findall(r"com\.example\.doorbell  (.*)", place.kubectl("logs", "deployment/event-display"))

        place.ready("doorbell")
        seen = eventually(shown, bool, "an event at the display", more=lambda: place.story("doorbell"))
        figure(
            f"own kind: {time.monotonic() - started:.1f} s from an empty directory to the first event in the cluster"
        )
    assert re.fullmatch(r'\{"sequence": \d+, "greeting": "hello"\}', seen[0])


@pytest.fixture(scope="module")
def two_kinds(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A kind from `sources new` and the cron sample, both in the image ``KINDS``.

    The sample's library is copied from this environment, because pip in the Dockerfile would need a package index.
    """
    workshop = Workshop(cluster, tmp_path_factory.mktemp("two"))
    workshop.run("sources new LetterboxSource --listen")
    shutil.copy(SAMPLES / "kinds/cron_source.py", workshop.directory / "kinds")
    [package] = importlib.util.find_spec("cronsim").submodule_search_locations
    shutil.copytree(package, workshop.directory / "lib/cronsim")
    workshop.build(workshop.run("sources image") + "COPY lib lib\n", KINDS)
    return workshop


def test_new_listening_kind_receives_requests_at_its_status_address(two_kinds: Workshop) -> None:
    with two_kinds.installed("LetterboxSource", KINDS) as place:
        url = place.read()["status"]["address"]["url"]
        command = f"kubectl -n {place.namespace} exec deployment/event-display -- python -c '{CALL}' {url} 2>&1 || true"
        # The pod is ready, but kube-proxy may need a moment longer to route to it.
        eventually(
            lambda: place.cluster.run(command), lambda it: it == "202\n", "the source answers 202", more=place.story
        )
        [event, *_] = _shown(place)
    assert (event["type"], event["data"]) == ("com.example.letterbox", {"path": "/", "body": "ding"})


def test_cron_sample_runs_with_its_library_in_the_image(two_kinds: Workshop) -> None:
    [written] = documents(SAMPLES / "kinds/cron_source.yaml")
    spec = {name: value for name, value in written["spec"].items() if name != "sink"}
    with two_kinds.installed("CronSource", KINDS, **spec) as place:
        [event, *_] = _shown(place)
    assert event["type"] == "com.example.cron"
    assert re.search(r":\d0\+0[12]:00$", event["data"]["due"])  # UTC offset of Berlin


def test_perl_adapter_sends_events_in_the_cluster(workshop: Workshop) -> None:
    workshop.write("kinds/pearl_source.py", PERL_KIND)
    shutil.copy(SAMPLES / "any-language/adapter.pl", workshop.directory)
    workshop.build(f'FROM {workshop.cluster.image}\nCOPY adapter.pl .\nCMD ["./adapter.pl"]\n', PEARL)
    with workshop.installed("PearlSource", PEARL) as place:
        [event, *_] = _shown(place)
        assert event["source"].endswith("/pearlsources/hello")
        assert event["type"] == "com.example.perl"
