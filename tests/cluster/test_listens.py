"""A listening kind under the real Metacontroller: its Service, its replicas and its address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sources_cli.kind import kind_named
from tests.cluster.api import eventually
from tests.cluster.samples import installed
from tests.cluster.world import Home, World

KIND = kind_named("WebhookSource", "adapter.sources")


@pytest.fixture
def kind(world: World) -> Iterator[None]:
    with installed(world, KIND):
        yield


def services(home: Home) -> list[Any]:
    return [it for it in home.api.list("v1", "services", home.namespace) if it["metadata"]["name"] != "display"]


@pytest.mark.usefixtures("kind")
def test_listening_source_gets_a_service_replicas_and_an_address(home: Home) -> None:
    home.service()
    inboxes = home.of(KIND)
    inboxes.source("inbox", replicas=2)
    status = inboxes.ready("inbox")["status"]
    [service] = services(home)
    url = f"http://{service['metadata']['name']}.{home.namespace}.svc.cluster.local"
    assert status["address"] == {"url": url}
    selected = service["spec"]["selector"].items()
    assert len([it for it in home.pods() if selected <= it["metadata"]["labels"].items()]) == 2
    home.api.delete("v1", "services", service["metadata"]["name"], home.namespace)
    uid = service["metadata"]["uid"]
    eventually(
        lambda: [it["metadata"]["uid"] for it in services(home)], lambda it: it and uid not in it, "another Service"
    )
    home.api.delete(*inboxes.sources, "inbox", home.namespace)
    eventually(lambda: services(home), lambda it: it == [], "no Service", deadline_s=90)
