"""A listening kind under the real Metacontroller: its Service, its replicas and its address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sources_cli.kind import kind_named
from tests.cluster.api import eventually
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import installed

KIND = kind_named("WebhookSource", "adapter.sources")


@pytest.fixture
def kind(cluster: LocalCluster) -> Iterator[None]:
    with installed(cluster, KIND):
        yield


def services(ns: SourceNamespace) -> list[Any]:
    return [service for service in ns.api.list("v1", "services", ns.name) if service["metadata"]["name"] != "display"]


@pytest.mark.usefixtures("kind")
def test_listening_source_gets_a_service_replicas_and_an_address(ns: SourceNamespace) -> None:
    ns.service()
    inboxes = ns.for_kind(KIND)
    inboxes.source("inbox", replicas=2)
    status = inboxes.wait_until_ready("inbox")["status"]
    [service] = services(ns)
    url = f"http://{service['metadata']['name']}.{ns.name}.svc.cluster.local"
    assert status["address"] == {"url": url}
    selected = service["spec"]["selector"].items()
    assert len([pod for pod in ns.pods() if selected <= pod["metadata"]["labels"].items()]) == 2
    ns.api.delete("v1", "services", service["metadata"]["name"], ns.name)
    uid = service["metadata"]["uid"]
    eventually(
        lambda: [service["metadata"]["uid"] for service in services(ns)],
        lambda found: found and uid not in found,
        "another Service",
    )
    ns.api.delete(*inboxes.sources, "inbox", ns.name)
    eventually(lambda: services(ns), lambda found: found == [], "no Service")
