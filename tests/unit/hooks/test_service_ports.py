"""Which port of a Service is used, by which scheme, and what the message says if none can be."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.addresses import Resolved, Unresolved
from hooks.diagnosis.reasons import Reason
from hooks.sinks import Scope, resolve
from tests.unit.hooks.hook import PEM, SERVICE_SINK

HOST = "display.ns.svc.cluster.local"


def resolved(
    ports: Any, port: Any = None, *, namespace: str | None = None, certificates: bool = False, **spec: Any
) -> Any:
    """The answer for a Service with these ports, each ``(number, name)`` or ``(number, name, more fields)``."""
    listed = [{"port": number, **({"name": name} if name else {}), **dict(*more)} for number, name, *more in ports]
    ref = SERVICE_SINK["ref"] | ({"port": port} if port else {}) | ({"namespace": namespace} if namespace else {})
    related = {"Service.v1": {f"{namespace or 'ns'}/display": {"spec": {"ports": listed, **spec}}}}
    sink = {"ref": ref, **({"CACerts": PEM} if certificates else {})}
    return resolve(sink, "spec.sink", Scope("ns", related, ("v1/Service",), "cluster.local"))


@pytest.mark.parametrize(
    ("port", "url"),
    [
        pytest.param((443, None), f"https://{HOST}", id="443"),
        pytest.param((443, "web"), f"https://{HOST}", id="443-other-name"),
        pytest.param((8443, "https"), f"https://{HOST}:8443", id="named-https"),
        pytest.param((8443, "https-web"), f"https://{HOST}:8443", id="named-https-web"),
        pytest.param((8443, "web"), f"http://{HOST}:8443", id="8443"),
        pytest.param((8080, "httpstat"), f"http://{HOST}:8080", id="named-httpstat"),
        pytest.param((8080, "httpsrv"), f"http://{HOST}:8080", id="named-httpsrv"),
        pytest.param((443, "http"), f"http://{HOST}:443", id="443-named-http"),
        pytest.param((443, "http-alt"), f"http://{HOST}:443", id="443-named-http-alt"),
        pytest.param((80, "https"), f"https://{HOST}:80", id="80-named-https"),
        pytest.param((443, "https", {"targetPort": "http"}), f"http://{HOST}:443", id="tls-ends-before-the-service"),
        pytest.param((9000, None, {"targetPort": "https"}), f"https://{HOST}:9000", id="port-of-the-pod-named-https"),
        pytest.param((443, None, {"targetPort": "web"}), f"https://{HOST}", id="port-of-the-pod-named-web"),
        pytest.param((443, "https", {"targetPort": 8080}), f"https://{HOST}", id="port-of-the-pod-is-a-number"),
        pytest.param((9000, None, {"appProtocol": "https"}), f"https://{HOST}:9000", id="app-https"),
        pytest.param((9000, None, {"appProtocol": "HTTPS"}), f"https://{HOST}:9000", id="app-in-capitals"),
        pytest.param((9000, None, {"appProtocol": "kubernetes.io/wss"}), f"https://{HOST}:9000", id="app-wss"),
        pytest.param((443, "https", {"appProtocol": "http"}), f"http://{HOST}:443", id="app-http-on-443"),
        pytest.param((443, None, {"appProtocol": "kubernetes.io/h2c"}), f"http://{HOST}:443", id="app-h2c"),
        pytest.param((443, None, {"appProtocol": "kubernetes.io/ws"}), f"http://{HOST}:443", id="app-ws"),
        pytest.param((443, None, {"appProtocol": "grpc"}), f"https://{HOST}", id="app-unknown-by-number"),
        pytest.param((9000, "https", {"appProtocol": "a.b/c"}), f"https://{HOST}:9000", id="app-unknown-by-name"),
        pytest.param((9000, "web", {"appProtocol": "tcp"}), f"http://{HOST}:9000", id="app-unknown"),
    ],
)  # fmt: skip
def test_scheme_follows_the_port(port: Any, url: str) -> None:
    assert resolved([port]) == Resolved(url)


def test_certificates_make_the_scheme_https_as_before() -> None:
    assert resolved([(80, "http")], certificates=True) == Resolved(f"https://{HOST}:80", PEM)


def test_port_that_speaks_tls_is_addressed_by_https_if_it_is_written() -> None:
    ports = [(80, "http"), (443, "https")]
    assert resolved(ports) == Resolved(f"http://{HOST}")
    assert resolved(ports, "https") == resolved(ports, 443) == resolved(ports, "443") == Resolved(f"https://{HOST}")


UDP, SCTP = {"protocol": "UDP"}, {"protocol": "SCTP"}


@pytest.mark.parametrize(
    ("ports", "port", "url"),
    [
        pytest.param([(53, "dns", UDP), (8080, "web")], None, f"http://{HOST}:8080", id="only-tcp-port"),
        pytest.param([(80, "http", UDP), (81, "http-tcp"), (80, "web")], None, f"http://{HOST}", id="default"),
        pytest.param([(53, "dns", UDP), (53, "dns-tcp")], 53, f"http://{HOST}:53", id="same-number"),
        pytest.param([(80, None, {"protocol": "TCP"})], None, f"http://{HOST}", id="tcp"),
    ],
)
def test_only_tcp_ports_are_chosen(ports: Any, port: Any, url: str) -> None:
    assert resolved(ports, port) == Resolved(url)


@pytest.mark.parametrize(
    ("ports", "port", "spec", "text"),
    [
        pytest.param(
            [(53, "dns", UDP)], None, {}, "no TCP port, and events need TCP; choose another Service", id="only-udp"
        ),
        pytest.param(
            [(53, "dns", UDP), (80, "http")],
            53,
            {},
            "only the UDP port 53, and events need TCP; set spec.sink.ref.port to one of: 80 (http)",
            id="udp-by-number",
        ),
        pytest.param(
            [(9, "x", SCTP), (80, None)],
            "x",
            {},
            "only the SCTP port x, and events need TCP; set spec.sink.ref.port to one of: 80",
            id="sctp-by-name",
        ),
        pytest.param(
            [(53, "dns", UDP)],
            53,
            {"clusterIP": "None"},
            "only the UDP port 53, and events need TCP; choose another Service",
            id="udp-of-a-headless-service",
        ),
        pytest.param(
            [(80, "http")],
            "web",
            {"type": "ExternalName"},
            "no port web; set spec.sink.ref.port to one of: 80 (http)",
            id="name-of-an-external-name",
        ),
        pytest.param(
            [],
            "web",
            {"type": "ExternalName"},
            "no port web; set spec.sink.ref.port to a port number",
            id="name-without-ports",
        ),
        pytest.param(
            [], "web", {"clusterIP": "None"}, "no port web; set spec.sink.ref.port to a port number", id="headless"
        ),
    ],
)  # fmt: skip
def test_message_says_why_no_port_can_be_used(ports: Any, port: Any, spec: Any, text: str) -> None:
    expected = Unresolved(Reason.ADDRESS_NOT_FOUND, f"Service ns/display has {text}")
    assert resolved(ports, port, **spec) == expected


@pytest.mark.parametrize(
    ("ports", "port", "url"),
    [
        pytest.param([(8080, "web")], None, f"http://{HOST}", id="default"),
        pytest.param([(8080, "web")], "web", f"http://{HOST}:8080", id="name"),
        pytest.param([(8443, "https")], "https", f"https://{HOST}:8443", id="name-https"),
        pytest.param([], 9, f"http://{HOST}:9", id="number"),
        pytest.param([(8080, "web")], 9, f"http://{HOST}:9", id="number-not-listed"),
        pytest.param([], 443, f"https://{HOST}", id="443"),
    ],
)
def test_external_name_uses_the_written_port(ports: Any, port: Any, url: str) -> None:
    assert resolved(ports, port, type="ExternalName", externalName="api.example.com") == Resolved(url)


SECRETS = ("31337", "topsecret", "UDP", "https")


@pytest.mark.parametrize(
    ("ports", "port", "spec", "text"),
    [
        pytest.param(
            [(31337, "topsecret"), (31338, "https")],
            None,
            {},
            "no TCP port that is the default; set spec.sink.ref.port to one of its TCP ports",
            id="several",
        ),
        pytest.param(
            [(31337, "topsecret")], 7, {}, "no TCP port 7; set spec.sink.ref.port to one of its TCP ports", id="number"
        ),
        pytest.param(
            [(7, "topsecret", UDP)], 7, {}, "no TCP port 7; set spec.sink.ref.port to one of its TCP ports", id="udp"
        ),
    ],
)
def test_message_about_a_service_in_another_namespace_lists_no_port(
    ports: Any, port: Any, spec: Any, text: str
) -> None:
    answer = resolved(ports, port, namespace="other", **spec)
    assert answer == Unresolved(Reason.ADDRESS_NOT_FOUND, f"Service other/display has {text}")
    assert not any(secret in answer.message for secret in SECRETS)


def test_message_about_a_headless_service_in_another_namespace_does_not_name_its_target_port() -> None:
    answer = resolved([(80, None, {"targetPort": "topsecret"})], namespace="other", clusterIP="None")
    text = "Service other/display is headless and its targetPort is a name; set spec.sink.ref.port to a port number"
    assert answer == Unresolved(Reason.ADDRESS_NOT_FOUND, text)
