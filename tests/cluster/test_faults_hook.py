"""A failing hook and specs that the hook rejects: running adapters keep running, and an event reports the fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sources_cli.manifests import ManifestsOptions
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
def test_failing_hook_causes_a_sync_error_event_and_changes_no_adapter(
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


def test_invalid_spec_sets_ready_false_and_starts_no_adapter(home: Home, lenient: None) -> None:
    home.service()
    home.source(ceOverrides=BAD)
    says(home, "Ready", "InvalidSpec", "spec.ceOverrides.extensions", '"Bad-Name"')
    assert home.deployments() == []
    home.edit(ceOverrides=None)
    home.ready()


def test_invalid_edit_causes_a_sync_error_event_and_keeps_the_running_adapter(home: Home, lenient: None) -> None:
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
    """Metacontroller waits one second for the hook, instead of the generated ten, to keep the test short."""
    document = controller(KIND, world.gate, ManifestsOptions(""))
    for hook in document["spec"]["hooks"].values():
        hook["webhook"]["timeout"] = "1s"
    world.api.apply(document)
    yield
    world.install()


@pytest.fixture
def lenient(home: Home) -> Iterator[None]:
    """A CRD that accepts any spec, as a CRD of another version than the hook might."""
    document = crd(KIND)
    schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    home.api.apply(document)
    eventually(lambda: judged(home), lambda it: it == "taken", "the CRD accepts any spec")
    yield
    home.api.apply(crd(KIND))
    eventually(lambda: judged(home), lambda it: "extension names are" in it, "the original CRD is in effect")


def judged(home: Home) -> str:
    """The API server's error about a spec that the generated CRD rejects; "taken" if it accepts the spec."""
    metadata = {"name": "tried", "namespace": home.namespace}
    spec = {"sink": {"uri": "http://there.example.com"}, "ceOverrides": BAD}
    try:
        home.api.create({"apiVersion": SOURCES[0], "kind": KIND.name, "metadata": metadata, "spec": spec}, dry_run=True)
    except ApiError as error:
        return str(error)
    return "taken"


def names(objects: Any) -> list[str]:
    return [it["metadata"]["name"] for it in objects]
