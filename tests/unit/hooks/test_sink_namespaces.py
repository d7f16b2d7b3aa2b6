"""Sinks in other namespaces: they can be forbidden, and messages show nothing of the objects there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hooks.addresses import Resolved, Unresolved
from hooks.controller import customize
from hooks.diagnosis.reasons import Reason
from hooks.protocol import CustomizeRequest
from hooks.sinks import Scope, resolve
from tests.unit.hooks.hook import (
    BROKER,
    BROKER_SINK,
    SERVICE_SINK,
    SETTINGS,
    URL_SINK,
    answer,
    condition,
    env_of,
    message,
    observed,
    parent,
)

OWN = replace(SETTINGS, sink_namespaces=())
SHARED = replace(SETTINGS, sink_namespaces=("shared",))
FOREIGN = {"ref": SERVICE_SINK["ref"] | {"namespace": "other"}}
RELATED = {"Service.v1": {f"{name}/display": {"spec": {"ports": [{"port": 80}]}} for name in ("ns", "other", "shared")}}
REMEDY = "which is not allowed; use a sink in one of these namespaces: {}. SINK_NAMESPACES of the hook sets the list"


def resolved(sink: Any, *namespaces: str, related: Any = None) -> Resolved | Unresolved:
    return resolve(
        sink, "spec.sink", Scope("ns", related or RELATED, ("v1/Service", BROKER), "cluster.local", namespaces)
    )


def test_sink_in_another_namespace_is_allowed_by_default() -> None:
    assert condition(answer({"sink": FOREIGN}, related=RELATED), "SinkProvided") == ("True", None)


@pytest.mark.parametrize(
    ("settings", "namespace", "listed"),
    [
        pytest.param(OWN, "ns", None, id="own"),
        pytest.param(OWN, "other", "ns", id="other"),
        pytest.param(SHARED, "shared", None, id="on-the-list"),
        pytest.param(SHARED, "other", "ns, shared", id="not-on-the-list"),
    ],
)
def test_sink_must_be_in_an_allowed_namespace(settings: Any, namespace: str, listed: str | None) -> None:
    spec = {"sink": {"ref": SERVICE_SINK["ref"] | {"namespace": namespace}}}
    response = answer(spec, related=RELATED, settings=settings)
    rules = customize(CustomizeRequest.model_validate({"parent": parent(spec)}), settings)["relatedResources"]
    if listed is None:
        assert condition(response, "SinkProvided") == ("True", None)
        assert [rule["namespace"] for rule in rules] == [namespace]
    else:
        assert (
            condition(response, "Ready") == condition(response, "SinkProvided") == ("False", "SinkNamespaceNotAllowed")
        )
        assert message(response) == f"spec.sink.ref names an object in namespace {namespace}, {REMEDY.format(listed)}"
        assert (rules, response["children"]) == ([], [])


def test_dead_letter_sink_must_be_in_an_allowed_namespace() -> None:
    spec = {"sink": URL_SINK, "delivery": {"deadLetterSink": FOREIGN}}
    response = answer(spec, related=RELATED, settings=OWN)
    assert condition(response, "DeadLetterSinkResolved") == ("False", "SinkNamespaceNotAllowed")
    text = f"spec.delivery.deadLetterSink.ref names an object in namespace other, {REMEDY.format('ns')}"
    assert message(response, "DeadLetterSinkResolved") == text
    assert "DEAD_LETTER_SINK" not in env_of(response)
    rules = customize(CustomizeRequest.model_validate({"parent": parent(spec)}), OWN)["relatedResources"]
    assert rules == []


def test_running_adapter_keeps_its_sink_when_the_namespace_becomes_forbidden() -> None:
    running = answer({"sink": FOREIGN}, related=RELATED)
    response = answer({"sink": FOREIGN}, children=observed(running["children"][0]), settings=OWN)
    assert condition(response, "Ready") == ("False", "SinkNamespaceNotAllowed")
    assert response["children"] == running["children"]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("display.other.svc", False),
        ("display.other.svc.cluster.local", False),
        ("display.other.svc.cluster.local.:8080", False),
        ("DISPLAY.Other.SVC.Cluster.Local", False),
        ("display。other\uff0esvc", False),
        ("pod-0.display.other.svc.cluster.local", False),
        ("10-1-2-3.other.pod.cluster.local", False),
        ("display.other.svc.clusterset.local", False),
        ("display.ns.svc.cluster.local", True),
        ("display.shared.svc.cluster.local", True),
        ("display", True),
        ("display.other", True),  # as example.com
        ("example.com", True),
        ("api.svc.example.com", True),
        ("other.svc", True),  # no Service has such a name
        ("10.1.2.3", True),
        ("[fd00::1]:8080", True),
        ("xn--a.b", True),
    ],
)
def test_namespace_in_the_host_of_a_uri_must_be_allowed(host: str, allowed: bool) -> None:
    found = resolved({"uri": f"http://{host}/p"}, "shared")
    if allowed:
        assert found == Resolved(f"http://{host}/p")
    else:
        text = f"spec.sink.uri names an object in namespace other, {REMEDY.format('ns, shared')}"
        assert found == Unresolved(Reason.SINK_NAMESPACE_NOT_ALLOWED, text)


def test_external_name_must_not_lead_to_a_forbidden_namespace() -> None:
    def alias(host: str) -> Resolved | Unresolved:
        spec = {"type": "ExternalName", "externalName": host}
        return resolved(SERVICE_SINK, related={"Service.v1": {"ns/display": {"spec": spec}}})

    text = f"Service ns/display is an ExternalName of an object in another namespace, {REMEDY.format('ns')}"
    assert (
        alias("X.Other.SVC")
        == alias("x.other.svc.cluster.local")
        == Unresolved(Reason.SINK_NAMESPACE_NOT_ALLOWED, text)
    )
    assert alias("api.example.com") == Resolved("http://display.ns.svc.cluster.local")


def test_address_of_an_object_in_an_allowed_namespace_may_be_anywhere() -> None:
    """A Broker has the address of a Service in the namespace of Knative."""
    url = "http://broker-ingress.knative-eventing.svc.cluster.local/ns/b"
    related = {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": {"address": {"url": url}}}}}
    assert resolved(BROKER_SINK, related=related) == Resolved(url)


@pytest.mark.parametrize(
    ("address", "status", "text"),
    [
        pytest.param(
            "up",
            {"addresses": [{"name": "topsecret", "url": "http://topsecret"}]},
            'has no address named "up"; correct spec.sink.ref.address',
            id="unknown-name",
        ),
        pytest.param(
            None,
            {"address": {"url": "ftp://topsecret"}},
            "has an address that is not an http(s) URL with a host",
            id="wrong-scheme",
        ),
    ],
)
def test_message_about_an_object_in_another_namespace_shows_no_address(address: Any, status: Any, text: str) -> None:
    ref = BROKER_SINK["ref"] | {"namespace": "other"} | ({"address": address} if address else {})
    related = {"Broker.eventing.knative.dev/v1": {"other/b": {"status": status}}}
    response = answer({"sink": {"ref": ref}}, related=related)
    assert message(response) == f"Broker other/b {text}"
    assert "topsecret" not in str(response)
