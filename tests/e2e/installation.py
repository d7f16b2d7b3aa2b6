"""Install everything with the commands of docs/install.md, and uninstall it without leaving an object behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.api import eventually
from tests.cluster.local_cluster import ROOT
from tests.cluster.metacontroller import crds
from tests.e2e.cluster import Cluster, kubectl_proxy
from tests.pages import commands

SAMPLE, QUEUE = "adapter.sources.sample_source", "tests/kinds/queue_depth_source.py"
QUICKSTART = "metacontroller/samples"
Install = Callable[..., None]  # the fixture install


def install_commands() -> tuple[list[str], list[str]]:
    """The commands that install, and the commands from the first source on."""
    listed = commands("docs/install.md", "## Install")
    first = next(n for n, command in enumerate(listed) if QUICKSTART in command)
    return listed[:first], listed[first:]


@contextmanager
def installation(directory: Path) -> Iterator[Cluster]:
    shutil.copytree(ROOT / "metacontroller", directory / "metacontroller")
    metacontroller_crds, metacontroller = crds().resolve(), directory / "metacontroller.yaml"
    text = (Path(__file__).parent / "metacontroller.yaml").read_text()
    metacontroller.write_text(text.replace("METACONTROLLER_IMAGE", os.environ["METACONTROLLER_IMAGE"]))
    with kubectl_proxy() as api:
        cluster = Cluster(api, directory)
        cluster.write_image()
        before = cluster.cluster_scoped_objects()
        installed_before = {name for name in before if "metacontroller" in name or "samples.knative.dev" in name}
        assert not installed_before, (
            f"the tests need a cluster without {sorted(installed_before)}, because they install and uninstall them"
        )
        try:
            cluster.kubectl("apply", "-f", str(metacontroller_crds), "-f", str(metacontroller))
            cluster.kubectl("wait", "--for=condition=Established", "-f", str(metacontroller_crds))
            for command in install_commands()[0]:
                cluster.run(command)
            yield cluster
        finally:
            delete = ["delete", "--ignore-not-found", "--wait=false"]
            for command in commands("docs/install.md", "## Uninstall"):
                cluster.run(f"{command} {' '.join(delete[1:])} || true")
            cluster.kubectl(*delete, "-f", str(metacontroller), "-f", str(metacontroller_crds))

            def left() -> object:
                return cluster.cluster_scoped_objects() - before

            eventually(left, lambda found: not found, "the cluster has only the objects from before")


@contextmanager
def installed(cluster: Cluster, directory: str | Path, crd: str) -> Iterator[None]:
    """Install one more kind from a directory that `sources manifests` wrote; uninstall it afterwards."""
    try:
        cluster.kubectl("apply", "-k", str(directory))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{crd}", "--timeout=120s")
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-k", str(directory))


def install_kind(cluster: Cluster, module: str, directory: Path, *options: str) -> None:
    """Run `sources manifests --diagnose-pods` and `kubectl apply -k`."""
    command = [sys.executable, "-m", "sources_cli", "manifests", module, "-o", str(directory), "--diagnose-pods"]
    subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True)
    cluster.kubectl("apply", "-k", str(directory))
