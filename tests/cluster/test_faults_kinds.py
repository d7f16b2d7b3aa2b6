"""Faults of a sink kind: not served, without an address, or not readable for Metacontroller."""

from __future__ import annotations

from typing import Any

from sources_cli.arguments import ManifestsOptions
from tests.cluster.api import Object, eventually
from tests.cluster.explained import reasons
from tests.cluster.faults import wait_for_fault, wait_for_sync_error
from tests.cluster.local_cluster import KIND, composite_controller
from tests.cluster.namespace import SourceNamespace

THINGS = "faults.example.com/v1"
INGRESSES = "networking.k8s.io/v1"  # served by every cluster; no role of this project grants it


def test_source_waits_for_its_sink_kind_and_for_the_address_of_the_sink(ns: SourceNamespace) -> None:
    """Three faults in turn. Metacontroller finds a new kind within its discovery interval."""
    allow(ns, f"{THINGS}/Thing")
    ns.source(sink=sink(THINGS, "Thing"))
    wait_for_sync_error(ns, "can't find resource things")
    assert reasons(ns)[0] == "SinkKindNotServed"
    assert "status" not in ns.read()
    serve_things(ns)
    ns.api.apply({"apiVersion": THINGS, "kind": "Thing", "metadata": {"name": "display", "namespace": ns.name}})
    wait_for_fault(
        ns, "SinkProvided", "NotAddressable",
        f"Thing {ns.name}/display has no address", "wait until it is ready, or refer to an addressable object",
    )  # fmt: skip
    assert reasons(ns)[0] == "NotAddressable"
    address = {"status": {"address": {"url": "http://there.example.com"}}}
    ns.api.patch(THINGS, "things", "display", address, ns.name, "/status")
    assert ns.wait_until_ready()["status"]["sinkUri"] == "http://there.example.com"


def test_sink_kind_that_metacontroller_may_not_watch_leaves_status_and_events_empty(ns: SourceNamespace) -> None:
    """As in docs/operate.md: without the watch Metacontroller does not call the hook, so there is no status."""
    kinds = ("v1/Service", f"{INGRESSES}/Ingress")
    ns.service()
    ns.source("former")
    ns.wait_until_ready("former")
    # Only the CompositeController: Metacontroller's role for the new kind is missing.
    ns.api.apply(composite_controller(KIND, ns.cluster.hook_proxy, ManifestsOptions("", sink_kinds=kinds)))
    ns.add_cleanup(ns.cluster.install)
    # Metacontroller stops syncs that are under way, with an event, before it calls the hook with the new kinds.
    eventually(lambda: last_path(ns, "former"), lambda path: "Ingress" in path, "the new kinds are in effect")
    ns.source(sink=sink(INGRESSES, "Ingress"))
    what = "Metacontroller's requests for ingresses are refused"
    eventually(lambda: refusals(ns, "/ingresses"), lambda found: len(found) >= 4, what)
    assert "status" not in ns.read()
    assert reasons(ns)[0] == "MetacontrollerForbidden"
    assert [event for event in ns.api.list("v1", "events", ns.name) if event["involvedObject"]["name"] == "hello"] == []
    assert "ingresses.networking.k8s.io is forbidden" in ns.cluster.metacontroller.log.read_text()
    ns.source("another")
    ns.wait_until_ready("another")
    ns.cluster.install(*kinds)
    wait_for_fault(ns, "SinkProvided", "NotFound", f"Ingress {ns.name}/display does not exist")


def last_path(ns: SourceNamespace, name: str) -> str:
    """The path of the last call of the hook about this source."""
    return ns.cluster.hook_proxy.calls(ns.name, name)[-1].path


def sink(api_version: str, kind: str) -> Any:
    return {"ref": {"apiVersion": api_version, "kind": kind, "name": "display"}}


def allow(ns: SourceNamespace, kind: str) -> None:
    ns.cluster.install("v1/Service", kind)
    ns.add_cleanup(ns.cluster.install)


def serve_things(ns: SourceNamespace) -> None:
    name = "things.faults.example.com"
    ns.api.serve(thing_crd(name))
    ns.add_cleanup(lambda: ns.api.delete("apiextensions.k8s.io/v1", "customresourcedefinitions", name))


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


def refusals(ns: SourceNamespace, resource: str) -> list[str]:
    """The verbs of Metacontroller's requests for this resource that the API server answered with 403."""
    lines = (entry for entry in ns.audit() if entry["responseStatus"]["code"] == 403)
    return [
        entry["verb"]
        for entry in lines
        if resource in entry["requestURI"] and "metacontroller" in entry["user"]["username"]
    ]
