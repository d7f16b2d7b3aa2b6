"""Install everything with the commands of docs/install.md, and uninstall it without leaving an object behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.api import eventually
from tests.cluster.metacontroller import crds
from tests.cluster.world import ROOT
from tests.e2e.cluster import Cluster, proxied
from tests.pages import commands

OVERLAY, QUICKSTART = "metacontroller/overlays/example", "metacontroller/samples/quickstart.yaml"


def install_commands() -> tuple[list[str], list[str]]:
    """The commands that install, and the commands from the first source on."""
    listed = commands("docs/install.md", "## Install")
    first = next(n for n, command in enumerate(listed) if QUICKSTART in command)
    return listed[:first], listed[first:]


@contextmanager
def installation(directory: Path) -> Iterator[Cluster]:
    shutil.copytree(ROOT / "metacontroller", directory / "metacontroller")
    theirs, metacontroller = crds().resolve(), directory / "metacontroller.yaml"
    text = (Path(__file__).parent / "metacontroller.yaml").read_text()
    metacontroller.write_text(text.replace("METACONTROLLER_IMAGE", os.environ["METACONTROLLER_IMAGE"]))
    with proxied() as api:
        cluster = Cluster(api, directory)
        cluster.write_image()
        before = cluster.names()
        ours = {it for it in before if "metacontroller" in it or "samples.knative.dev" in it}
        assert not ours, f"the tests need a cluster without {sorted(ours)}, because they install and uninstall them"
        try:
            cluster.kubectl("apply", "-f", str(theirs), "-f", str(metacontroller))
            cluster.kubectl("wait", "--for=condition=Established", "-f", str(theirs))
            for command in install_commands()[0]:
                cluster.run(command)
            yield cluster
        finally:
            gone = ["delete", "--ignore-not-found", "--wait=false"]
            for command in commands("docs/install.md", "## Uninstall"):
                cluster.run(f"{command} {' '.join(gone[1:])} || true")
            cluster.kubectl(*gone, "-f", str(metacontroller), "-f", str(theirs))

            def left() -> object:
                return cluster.names() - before

            eventually(left, lambda it: not it, "the cluster has only the objects from before", deadline_s=90)


@contextmanager
def installed(cluster: Cluster, directory: str | Path, crd: str) -> Iterator[None]:
    """Install one more kind from a directory that `sources manifests` wrote; uninstall it afterwards."""
    try:
        cluster.kubectl("apply", "-k", str(directory))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{crd}", "--timeout=30s")
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-k", str(directory))
