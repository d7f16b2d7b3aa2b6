"""Names that are exactly as long as Kubernetes allows, with the rules of a real API server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from adapter.contract.kind_names import controller_label
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import LONGEST_KIND as KIND
from tests.cluster.samples import installed


@pytest.fixture
def long_ns(cluster: LocalCluster) -> Iterator[SourceNamespace]:
    """A namespace with a name of 63 characters."""
    with installed(cluster, KIND):
        ns = SourceNamespace(cluster, f"t-{uuid.uuid4().hex}".ljust(63, "n"))
        try:
            yield ns
        finally:
            ns.close()


@pytest.mark.parametrize("name", ["a" * 253, ".".join(["a" * 63] * 3), "a"], ids=["long", "dotted", "short"])
def test_longest_kind_gets_its_deployment_and_its_service(long_ns: SourceNamespace, name: str) -> None:
    crd_name = f"{KIND.plural}.{KIND.group}"
    assert [len(text) for text in (controller_label(KIND.name), KIND.version, long_ns.name)] == [63, 63, 63]
    assert len(crd_name) == 253
    long_ns.service()
    sources = long_ns.for_kind(KIND)
    sources.source(name)
    status = sources.wait_until_ready(name)["status"]
    [deployment] = sources.deployments()
    host = deployment["metadata"]["name"].replace(".", "-")
    assert status["address"]["url"] == f"http://{host}.{long_ns.name}.svc.cluster.local"
