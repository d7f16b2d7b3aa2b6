"""Faults of a sink kind: not served, without an address, or not readable for Metacontroller."""

from __future__ import annotations

from typing import Any

from sources_cli.manifests import ManifestsOptions
from tests.cluster.api import Object, eventually
from tests.cluster.faults import WITHIN_S, says, sync_error
from tests.cluster.world import KIND, Home, controller

THINGS = "faults.example.com/v1"
INGRESSES = "networking.k8s.io/v1"  # served by every cluster; no role of this project grants it


def test_source_waits_for_its_sink_kind_and_for_the_address_of_the_sink(home: Home) -> None:
    """Three faults in turn. Metacontroller finds a new kind within its discovery interval."""
    allow(home, f"{THINGS}/Thing")
    home.source(sink=sink(THINGS, "Thing"))
    sync_error(home, "can't find resource things")
    assert "status" not in home.read()
    serve_things(home)
    home.api.apply(
        {"apiVersion": THINGS, "kind": "Thing", "metadata": {"name": "display", "namespace": home.namespace}}
    )
    says(
        home, "SinkProvided", "NotAddressable",
        f"Thing {home.namespace}/display has no address", "wait until it is ready, or name an addressable object",
    )  # fmt: skip
    address = {"status": {"address": {"url": "http://there.example.com"}}}
    home.api.patch(THINGS, "things", "display", address, home.namespace, "/status")
    assert home.ready()["status"]["sinkUri"] == "http://there.example.com"


def test_sink_kind_that_metacontroller_may_not_watch_leaves_status_and_events_empty(home: Home) -> None:
    """As documented in docs/operate.md: without the watch Metacontroller does not call the hook: there is no status."""
    kinds = ("v1/Service", f"{INGRESSES}/Ingress")
    home.api.apply(controller(KIND, home.world.gate, ManifestsOptions("", sink_kinds=kinds)))  # without the role for it
    home.afterwards(home.world.install)
    home.source(sink=sink(INGRESSES, "Ingress"))
    what = "Metacontroller's requests for ingresses are refused"
    eventually(lambda: refusals(home, "/ingresses"), lambda it: len(it) >= 4, what, deadline_s=WITHIN_S)
    assert "status" not in home.read()
    assert home.events() == []
    assert "ingresses.networking.k8s.io is forbidden" in home.world.metacontroller.log.read_text()
    home.service()
    home.source("another")
    home.ready("another")
    home.world.install(*kinds)
    says(home, "SinkProvided", "NotFound", f"Ingress {home.namespace}/display does not exist")


def sink(api_version: str, kind: str) -> Any:
    return {"ref": {"apiVersion": api_version, "kind": kind, "name": "display"}}


def allow(home: Home, kind: str) -> None:
    home.world.install("v1/Service", kind)
    home.afterwards(home.world.install)


def serve_things(home: Home) -> None:
    name = "things.faults.example.com"
    home.api.serve(thing_crd(name))
    home.afterwards(lambda: home.api.delete("apiextensions.k8s.io/v1", "customresourcedefinitions", name))


def thing_crd(name: str) -> Object:
    """A kind whose status may hold an address; no controller sets it."""
    anything: Any = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": "faults.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{**version, "schema": {"openAPIV3Schema": anything}}],
        },
    }


def refusals(home: Home, resource: str) -> list[str]:
    """The verbs of Metacontroller's requests for this resource that the API server answered with 403."""
    lines = (it for it in home.world.plane.audit() if it["responseStatus"]["code"] == 403)
    return [it["verb"] for it in lines if resource in it["requestURI"] and "metacontroller" in it["user"]["username"]]
