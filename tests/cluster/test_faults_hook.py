"""Faults of the hook, and specs it cannot honour: the adapter that runs survives them, and an event tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sources_cli.arguments import ManifestsOptions
from sources_cli.schema.crd import crd
from tests.cluster.api import ApiError, eventually
from tests.cluster.faults import says, sync_error
from tests.cluster.gate import Gate
from tests.cluster.world import KIND, SOURCES, Home, World, controller

BAD = {"extensions": {"Bad-Name": "x"}}


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        pytest.param(lambda gate: setattr(gate, "down", True), "EOF", id="down"),
        pytest.param(lambda gate: setattr(gate, "answer", 500), "500", id="500"),
        pytest.param(lambda gate: setattr(gate, "delay_s", 2), "exceeded", id="too slow"),
    ],
)
def test_a_failing_hook_is_an_event_and_harms_no_adapter(
    home: Home, impatient: None, fail: Callable[[Gate], None], words: str
) -> None:
    home.service()
    home.source()
    before, deployment, pods = home.ready(), home.deployment(), names(home.pods())
    fail(home.world.gate)
    home.edit(interval="20s")
    sync_error(home, words)
    assert home.read()["status"] == before["status"]
    assert home.deployment()["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]
    assert names(home.pods()) == pods
    home.world.gate.heal()
    home.ready()
    assert home.deployment()["metadata"]["uid"] == deployment["metadata"]["uid"]


def test_a_spec_the_crd_would_have_refused_is_told_and_starts_no_adapter(home: Home, lenient: None) -> None:
    home.service()
    home.source(ceOverrides=BAD)
    says(home, "Ready", "InvalidSpec", "spec.ceOverrides.extensions", '"Bad-Name"')
    assert home.deployments() == []
    home.edit(ceOverrides=None)
    home.ready()


def test_a_spec_the_crd_would_have_refused_keeps_the_adapter_that_runs(home: Home, lenient: None) -> None:
    home.service()
    home.source()
    before, deployment = home.ready(), home.deployment()
    home.edit(ceOverrides=BAD)
    sync_error(home, "422", "spec.ceOverrides.extensions", "Bad-Name")
    assert home.read()["status"] == before["status"]
    assert home.deployment()["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]
    home.edit(ceOverrides=None)
    home.ready()
    assert home.deployment()["metadata"]["uid"] == deployment["metadata"]["uid"]


@pytest.fixture(scope="module")
def impatient(world: World) -> Iterator[None]:
    """Metacontroller waits for the hook for one second, where the generated ten would only take longer to test."""
    document = controller(KIND, world.gate, ManifestsOptions(""))
    for hook in document["spec"]["hooks"].values():
        hook["webhook"]["timeout"] = "1s"
    world.api.apply(document)
    yield
    world.install()


@pytest.fixture
def lenient(home: Home) -> Iterator[None]:
    """A CRD of another version than the hook: it takes any spec."""
    document = crd(KIND)
    schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    home.api.apply(document)
    eventually(lambda: judged(home), lambda it: it == "taken", "the CRD takes any spec")
    yield
    home.api.apply(crd(KIND))
    eventually(lambda: judged(home), lambda it: "extension names are" in it, "the CRD is what it was")


def judged(home: Home) -> str:
    """What the API server says of a spec the CRD refuses."""
    metadata = {"name": "tried", "namespace": home.namespace}
    spec = {"sink": {"uri": "http://there.example.com"}, "ceOverrides": BAD}
    try:
        home.api.create({"apiVersion": SOURCES[0], "kind": KIND.name, "metadata": metadata, "spec": spec}, dry_run=True)
    except ApiError as error:
        return str(error)
    return "taken"


def names(objects: Any) -> list[str]:
    return [it["metadata"]["name"] for it in objects]
