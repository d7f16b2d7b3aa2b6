"""The kinds that have a sample, and how a user installs a kind and applies its sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from hooks.names import plural
from sources_cli.kind import Kind, kind_of_module
from sources_cli.schema.crd import crd
from tests.cluster.api import Object
from tests.cluster.world import KIND, ROOT, World, asking, documents
from tests.process.test_sources_lint import sources

PACKAGE = "metacontroller.samples.kinds"
SHIPPED, WORKED = ROOT / "metacontroller/sources", ROOT / "metacontroller/samples/kinds"


@dataclass(frozen=True)
class Sample:
    kind: Kind
    file: Path

    @property
    def source(self) -> Object:
        return next(it for it in documents(self.file) if it["kind"] == self.kind.name)

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The data of the Secrets in the sample's file, by name."""
        return {it["metadata"]["name"]: it["stringData"] for it in documents(self.file) if it["kind"] == "Secret"}

    @property
    def name(self) -> str:
        return str(self.source["metadata"]["name"])


OURS = [Sample(kind_of_module(f"adapter.sources.{it.parent.name}"), it) for it in sorted(SHIPPED.glob("*/sample.yaml"))]
EXAMPLES = [Sample(kind_of_module(f"{PACKAGE}.{it.stem}"), it) for it in sorted(WORKED.glob("*.yaml"))]
SAMPLES = [*OURS, *EXAMPLES]


def announce(world: World) -> None:
    """Apply the CRDs early: kube-controller-manager looks for new kinds only every 30 s."""
    kubectl_apply(world, [crd(it.kind) for it in SAMPLES if it.kind != KIND])


@contextmanager
def installed(world: World, *kinds: Kind) -> Iterator[None]:
    """Apply the output of `sources manifests` for each kind; afterwards delete its controller and its roles."""
    with TemporaryDirectory() as made_in:
        listed = [it for kind in kinds for it in _manifests_of(world, kind, Path(made_in) / kind.plural)]
    kubectl_apply(world, [asking(world.gate, it) if it["kind"] == "CompositeController" else it for it in listed])
    try:
        yield
    finally:
        for wanted in ("CompositeController", "ClusterRoleBinding", "ClusterRole"):
            for it in listed:
                if it["kind"] == wanted:
                    world.api.delete(it["apiVersion"], plural(wanted), it["metadata"]["name"])


def _manifests_of(world: World, kind: Kind, directory: Path) -> list[Object]:
    """The objects that `kubectl apply -k` would apply, from the shipped directory or from a generated one."""
    if kind.package == "adapter.sources":
        directory = SHIPPED / kind.module.rpartition(".")[2]
    else:
        made = sources("manifests", kind.module, "-o", directory)
        assert (made.returncode, made.stderr) == (0, ""), made.stderr
    code, text, errors = world.plane.kubectl("kustomize", str(directory))
    assert (code, errors) == (0, ""), errors
    return list(yaml.safe_load_all(text))


def kubectl_apply(world: World, listed: list[Object]) -> None:
    """Apply the objects; kubectl must print no warning."""
    code, text, errors = world.plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(listed))
    assert (code, errors) == (0, ""), errors
    assert len(text.splitlines()) == len(listed), text
