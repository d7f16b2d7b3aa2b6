"""A failing hook and specs that the hook rejects: running adapters keep running, and an event reports the fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sources_cli.arguments import ManifestsOptions
from sources_cli.schema.crd import crd
from tests.cluster.api import ApiError, eventually
from tests.cluster.explained import reasons
from tests.cluster.faults import wait_for_fault, wait_for_sync_error
from tests.cluster.hook_proxy import HookProxy
from tests.cluster.local_cluster import KIND, SOURCES, LocalCluster, composite_controller
from tests.cluster.namespace import SourceNamespace

BAD = {"extensions": {"Bad-Name": "x"}}


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        pytest.param(lambda hook_proxy: setattr(hook_proxy, "down", True), "EOF", id="down"),
        pytest.param(lambda hook_proxy: setattr(hook_proxy, "fail_status", 500), "500", id="500"),
        pytest.param(lambda hook_proxy: setattr(hook_proxy, "delay_s", 2), "exceeded", id="too slow"),
    ],
)
def test_failing_hook_causes_a_sync_error_event_and_changes_no_adapter(
    ns: SourceNamespace, short_hook_timeout: None, fail: Callable[[HookProxy], None], words: str
) -> None:
    ns.service()
    ns.source()
    before, deployment, pods = ns.wait_until_ready(), ns.deployment(), names(ns.pods())
    fail(ns.cluster.hook_proxy)
    ns.edit(interval="20s")
    wait_for_sync_error(ns, words)
    assert reasons(ns)[0] == "HookUnavailable"
    assert ns.read()["status"] == before["status"]
    assert ns.deployment()["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]
    assert names(ns.pods()) == pods
    ns.cluster.hook_proxy.reset()
    ns.wait_until_ready()
    assert ns.deployment()["metadata"]["uid"] == deployment["metadata"]["uid"]


def test_invalid_spec_sets_ready_false_and_starts_no_adapter(ns: SourceNamespace, permissive_crd: None) -> None:
    ns.service()
    ns.source(ceOverrides=BAD)
    wait_for_fault(ns, "Ready", "InvalidSpec", "spec.ceOverrides.extensions", '"Bad-Name"')
    assert reasons(ns)[0] == "InvalidSpec"
    assert ns.deployments() == []
    ns.edit(ceOverrides=None)
    ns.wait_until_ready()


def test_invalid_edit_causes_a_sync_error_event_and_keeps_the_running_adapter(
    ns: SourceNamespace, permissive_crd: None
) -> None:
    ns.service()
    ns.source()
    before, deployment = ns.wait_until_ready(), ns.deployment()
    ns.edit(ceOverrides=BAD)
    wait_for_sync_error(ns, "422", "spec.ceOverrides.extensions", "Bad-Name")
    assert reasons(ns)[0] == "SpecRefused"
    assert ns.read()["status"] == before["status"]
    assert ns.deployment()["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]
    ns.edit(ceOverrides=None)
    ns.wait_until_ready()
    assert ns.deployment()["metadata"]["uid"] == deployment["metadata"]["uid"]


@pytest.fixture(scope="module")
def short_hook_timeout(cluster: LocalCluster) -> Iterator[None]:
    """Metacontroller waits one second for the hook, instead of the generated ten, to keep the test short."""
    document = composite_controller(KIND, cluster.hook_proxy, ManifestsOptions(""))
    for hook in document["spec"]["hooks"].values():
        hook["webhook"]["timeout"] = "1s"
    cluster.api.apply(document)
    yield
    cluster.install()


@pytest.fixture
def permissive_crd(ns: SourceNamespace) -> Iterator[None]:
    """A CRD that accepts any spec, as a CRD of another version than the hook might."""
    document = crd(KIND)
    schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    ns.api.apply(document)
    eventually(lambda: validation_error(ns), lambda value: value == "taken", "the CRD accepts any spec")
    yield
    ns.api.apply(crd(KIND))
    eventually(lambda: validation_error(ns), lambda value: "extension names" in value, "the original CRD is in effect")


def validation_error(ns: SourceNamespace) -> str:
    """The API server's error about a spec that the generated CRD rejects; "taken" if it accepts the spec."""
    metadata = {"name": "tried", "namespace": ns.name}
    spec = {"sink": {"uri": "http://there.example.com"}, "ceOverrides": BAD}
    try:
        ns.api.create({"apiVersion": SOURCES[0], "kind": KIND.name, "metadata": metadata, "spec": spec}, dry_run=True)
    except ApiError as error:
        return str(error)
    return "taken"


def names(objects: Any) -> list[str]:
    return [document["metadata"]["name"] for document in objects]
