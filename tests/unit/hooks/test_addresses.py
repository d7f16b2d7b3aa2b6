"""URLs of Services and addressable objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.hooks.hook import BROKER_SINK, PEM, SERVICE_SINK, URL_SINK, answer, condition, env_of, message, service

HOST = "display.ns.svc.cluster.local"


def port_of(port: Any) -> dict[str, Any]:
    return {"ref": SERVICE_SINK["ref"] | {"port": port}}


def broker(status: Any) -> dict[str, Any]:
    return {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": status}}}


def headless(target: Any, port: int = 80) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": target}]
    return {"Service.v1": {"ns/display": {"spec": {"clusterIP": "None", "ports": ports}}}}


@pytest.mark.parametrize(
    ("sink", "related", "uri"),
    [
        pytest.param(URL_SINK | {"uri": "http://h/p?q=1"}, {}, "http://h/p?q=1", id="uri"),
        pytest.param(SERVICE_SINK, service(), f"http://{HOST}", id="default-port-left-out"),
        pytest.param(SERVICE_SINK, service([(None, 8080)]), f"http://{HOST}:8080", id="only-port"),
        pytest.param(SERVICE_SINK, service([("m", 9), ("http", 81)]), f"http://{HOST}:81", id="port-named-http"),
        pytest.param(SERVICE_SINK, service([("m", 9), ("x", 80)]), f"http://{HOST}", id="port-80"),
        pytest.param(port_of("m"), service([("m", 9), ("x", 80)]), f"http://{HOST}:9", id="by-name"),
        pytest.param(port_of(9), service([("m", 9), ("x", 80)]), f"http://{HOST}:9", id="by-number"),
        pytest.param(port_of("9"), service([("m", 9), ("x", 80)]), f"http://{HOST}:9", id="by-number-in-quotes"),
        pytest.param(port_of(9), service(type="ExternalName"), f"http://{HOST}:9", id="external-name"),
        pytest.param(SERVICE_SINK | {"CACerts": PEM}, service([(None, 443)]), f"https://{HOST}", id="https"),
        pytest.param(SERVICE_SINK | {"uri": "/p?q"}, service(), f"http://{HOST}/p?q", id="relative-uri"),
        pytest.param(SERVICE_SINK, headless(8081), f"http://{HOST}:8081", id="headless"),
        pytest.param(port_of(8082), headless("web"), f"http://{HOST}:8082", id="headless-by-number"),
        pytest.param(port_of(8443), headless("https"), f"https://{HOST}:8443", id="headless-by-number-over-tls"),
        pytest.param(port_of(8443), headless("web", 443), f"https://{HOST}:8443", id="headless-443-by-number"),
        pytest.param(
            BROKER_SINK | {"uri": "c"},
            broker({"address": {"url": "http://b/x/y"}}),
            "http://b/x/c",
            id="addressable-joined",
        ),
        pytest.param(
            BROKER_SINK,
            broker({"address": {"url": "http://old"}, "addresses": [{"url": "http://new"}]}),
            "http://new",
            id="addresses-before-address",
        ),
    ],
)
def test_sink_resolves_to_url(sink: Any, related: Any, uri: str) -> None:
    response = answer({"sink": sink}, related=related)
    assert env_of(response)["K_SINK"] == uri
    assert response["status"]["sinkUri"] == uri.partition("?")[0]  # a query may hold a token
    assert condition(response, "SinkProvided") == ("True", None)


@pytest.mark.parametrize(
    ("sink", "related", "reason", "text"),
    [
        pytest.param(
            SERVICE_SINK,
            service([("a", 1), ("b", 2)]),
            "AddressNotFound",
            "Service ns/display has several ports and none is the default; set spec.sink.ref.port to one of: "
            "1 (a), 2 (b)",
            id="ambiguous-ports",
        ),
        pytest.param(
            port_of(7),
            service(),
            "AddressNotFound",
            "Service ns/display has no port 7; set spec.sink.ref.port to one of: 80",
            id="no-such-port",
        ),
        pytest.param(
            SERVICE_SINK,
            headless("web"),
            "AddressNotFound",
            'Service ns/display is headless and its targetPort "web" is a name; set spec.sink.ref.port to a port '
            "number",
            id="headless-named-port",
        ),
        pytest.param(
            BROKER_SINK,
            broker(None),
            "NotAddressable",
            "Broker ns/b has no address in its status; wait until it is ready, or refer to an addressable object",
            id="no-address",
        ),
        pytest.param(
            BROKER_SINK,
            broker({"address": {"url": "//h/x"}}),
            "AddressInvalid",
            'Broker ns/b has the address "//h/x", which is not an http(s) URL with a host',
            id="address-without-scheme",
        ),
    ],
)
def test_object_without_valid_address_sets_sink_provided_to_false(
    sink: Any, related: Any, reason: str, text: str
) -> None:
    response = answer({"sink": sink}, related=related)
    assert condition(response, "Ready") == condition(response, "SinkProvided") == ("False", reason)
    assert message(response) == text
    assert "sinkUri" not in response["status"]
    assert response["children"] == []
