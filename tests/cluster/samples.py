"""The kinds that have a sample, and how a user installs a kind and applies its sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from adapter.contract.kind_names import plural
from sources_cli.kind import Kind, kind_named, kind_of_module
from tests.cluster import metacontroller
from tests.cluster.api import Api, ApiError, Object, eventually
from tests.cluster.local_cluster import ROOT, LocalCluster, read_yaml, with_hook_url
from tests.process.sources import sources

PACKAGE = "metacontroller.samples.kinds"
SHIPPED_DIRECTORY, EXAMPLE_DIRECTORY = ROOT / "metacontroller/sources", ROOT / "metacontroller/samples/kinds"


@dataclass(frozen=True)
class Sample:
    kind: Kind
    file: Path

    @property
    def source(self) -> Object:
        return next(document for document in read_yaml(self.file) if document["kind"] == self.kind.name)

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The data of the Secrets in the sample's file, by name."""
        return {
            document["metadata"]["name"]: document["stringData"]
            for document in read_yaml(self.file)
            if document["kind"] == "Secret"
        }

    @property
    def name(self) -> str:
        return str(self.source["metadata"]["name"])


SHIPPED_SAMPLES = [
    Sample(kind_of_module(f"adapter.sources.{file.parent.name}"), file)
    for file in sorted(SHIPPED_DIRECTORY.glob("*/sample.yaml"))
]
EXAMPLE_SAMPLES = [
    Sample(kind_of_module(f"{PACKAGE}.{file.stem}"), file) for file in sorted(EXAMPLE_DIRECTORY.glob("*.yaml"))
]
SAMPLES = [*SHIPPED_SAMPLES, *EXAMPLE_SAMPLES]
LONGEST_KIND = kind_named("KindWithTheLongestNamesKubernetesAllowsSource", "tests.kinds")


@contextmanager
def installed(cluster: LocalCluster, *kinds: Kind) -> Iterator[None]:
    """Apply the output of `sources manifests` for each kind; afterwards delete its controller and its roles."""
    with TemporaryDirectory() as made_in:
        listed = [document for kind in kinds for document in _manifests_of(cluster, kind, Path(made_in) / kind.plural)]
    kubectl_apply(
        cluster,
        [
            with_hook_url(cluster.hook_proxy, document) if document["kind"] == "CompositeController" else document
            for document in listed
        ],
    )
    try:
        for kind in kinds:
            _wait_until_accepted_as_owner(cluster, kind)
        yield
    finally:
        for wanted in ("CompositeController", "ClusterRoleBinding", "ClusterRole"):
            for document in listed:
                if document["kind"] == wanted:
                    cluster.api.delete(document["apiVersion"], plural(wanted), document["metadata"]["name"])


def _wait_until_accepted_as_owner(cluster: LocalCluster, kind: Kind) -> None:
    """Wait until Metacontroller may create children of the kind.

    An API server resolves the kind of an owner with a list that it renews only every 30 s. With an older list it
    answers "cannot set blockOwnerDeletion in this case because cannot find RESTMapping".
    """
    account = f"system:serviceaccount:{metacontroller.NAMESPACE}:{metacontroller.ACCOUNT}"
    api = Api(cluster.plane.url, "admin-token", as_user=account)
    owner = {"apiVersion": kind.api_version, "kind": kind.name, "name": "owner", "uid": "1", "blockOwnerDeletion": True}
    labels = {"app": "owned"}
    child = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "owned", "namespace": "default", "ownerReferences": [owner]},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    }

    def refusal() -> str | None:
        try:
            api.create(child, dry_run=True)
        except ApiError as error:
            return str(error)
        return None

    try:
        eventually(refusal, lambda text: text is None, f"{kind.name} is accepted as an owner")
    finally:
        api.close()


def _manifests_of(cluster: LocalCluster, kind: Kind, directory: Path) -> list[Object]:
    """The objects that `kubectl apply -k` would apply, from the shipped directory or from a generated one."""
    if kind.package == "adapter.sources":
        directory = SHIPPED_DIRECTORY / kind.module.rpartition(".")[2]
    else:
        made = sources("manifests", kind.module, "-o", directory)
        assert (made.returncode, made.stderr) == (0, ""), made.stderr
    code, text, errors = cluster.plane.kubectl("kustomize", str(directory))
    assert (code, errors) == (0, ""), errors
    return list(yaml.safe_load_all(text))


def kubectl_apply(cluster: LocalCluster, listed: list[Object]) -> None:
    """Apply the objects; kubectl must print no warning."""
    code, text, errors = cluster.plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(listed))
    assert (code, errors) == (0, ""), errors
    assert len(text.splitlines()) == len(listed), text
