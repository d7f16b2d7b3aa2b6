"""A kind that listens, under the real Metacontroller: its Service, its replicas, its address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hooks.dev.crd import crd
from hooks.dev.kinds import kind_named
from tests.cluster.api import eventually
from tests.cluster.world import CONTROLLERS, Home, World

KIND = kind_named("WebhookSource", "adapter.sources")
SOURCES = (KIND.cls.api_version, KIND.plural)


@pytest.fixture
def kind(world: World) -> Iterator[None]:
    world.api.serve(crd(KIND))
    world.install(kind=KIND)
    yield
    world.api.delete(*CONTROLLERS, f"{KIND.plural}.{KIND.group}")


def services(home: Home) -> list[Any]:
    return [it for it in home.api.list("v1", "services", home.namespace) if it["metadata"]["name"] != "display"]


@pytest.mark.usefixtures("kind")
def test_it_gets_its_service_its_replicas_and_an_address_that_leads_there(home: Home) -> None:
    home.service()
    home.api.create(
        {
            "apiVersion": KIND.cls.api_version,
            "kind": KIND.name,
            "metadata": {"name": "inbox", "namespace": home.namespace},
            "spec": {"replicas": 2, "sink": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}}},
        }
    )

    def ready() -> bool:
        status = home.api.get(*SOURCES, "inbox", home.namespace).get("status", {})
        return any((it["type"], it["status"]) == ("Ready", "True") for it in status.get("conditions", []))

    eventually(ready, bool, "a webhook that is ready", more=home.story)
    [service] = services(home)
    status = home.api.get(*SOURCES, "inbox", home.namespace)["status"]
    url = f"http://{service['metadata']['name']}.{home.namespace}.svc.cluster.local"
    assert status["address"] == {"url": url}
    selected = service["spec"]["selector"].items()
    assert len([it for it in home.pods() if selected <= it["metadata"]["labels"].items()]) == 2
    home.api.delete("v1", "services", service["metadata"]["name"], home.namespace)
    uid = service["metadata"]["uid"]
    eventually(
        lambda: [it["metadata"]["uid"] for it in services(home)], lambda it: it and uid not in it, "another Service"
    )
    home.api.delete(*SOURCES, "inbox", home.namespace)
    eventually(lambda: services(home), lambda it: it == [], "no Service", deadline_s=90)
