"""Install everything with the commands of the pages, and uninstall it without leaving an object behind."""

from __future__ import annotations

import re
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
    """The commands that install with kustomize, and those from the first source on."""
    *install, first_source = commands("docs/install.md", "## Install with kustomize")
    return install, [first_source, *commands("docs/install.md", "## See the first event")]


@contextmanager
def with_metacontroller(directory: Path) -> Iterator[Cluster]:
    """A cluster with Metacontroller and nothing of this project. Afterwards it has only the objects from before."""
    shutil.copytree(ROOT / "metacontroller", directory / "metacontroller")
    with kubectl_proxy() as api:
        cluster = Cluster(api, directory)
        cluster.write_images()
        before = cluster.objects()
        found = {name for name in before if "metacontroller" in name or "samples.knative.dev" in name}
        assert not found, f"the tests need a cluster without {sorted(found)}, because they install and uninstall them"
        try:
            for command in commands("docs/metacontroller.md", "# Install Metacontroller"):
                cluster.run(with_local_crds(command))
            yield cluster
        finally:
            for command in commands("docs/uninstall.md", "## Uninstall Metacontroller"):
                cluster.run(f"{with_local_crds(command)} --ignore-not-found --wait=false")

            eventually(
                lambda: cluster.added_since(before),
                lambda left: not left,
                "the cluster has only the objects from before",
            )


def with_local_crds(command: str) -> str:
    """The command with the file of the CRDs of Metacontroller on this machine, instead of its URL."""
    return re.sub(r"https://\S+/metacontroller-crds-v1.yaml", str(crds().resolve()), command)


@contextmanager
def installation(directory: Path) -> Iterator[Cluster]:
    with with_metacontroller(directory) as cluster:
        try:
            for command in install_commands()[0]:
                cluster.run(command)
            yield cluster
        finally:
            for command in commands("docs/uninstall.md", "## With kustomize"):
                cluster.run(f"{command} --ignore-not-found --wait=false || true")


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
