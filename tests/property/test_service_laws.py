"""Properties of the address of a Service: no UDP port, a scheme by the rules, and messages that disclose nothing."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from hooks.addresses import Resolved, Unresolved
from hooks.sinks import Scope, resolve

HIDDEN = "zz"  # every name in a generated object contains it, and no message does otherwise
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
numbers = st.sampled_from([80, 443, 53, 8080, 31337])
names = st.sampled_from(["http", "https", "https-zz", "zz", "http-zz"])
ports = st.fixed_dictionaries(
    {"port": numbers},
    optional={
        "name": names,
        "protocol": st.sampled_from(["TCP", "UDP", "SCTP"]),
        "targetPort": numbers | names,
        "appProtocol": st.sampled_from(["http", "https", "kubernetes.io/h2c", "kubernetes.io/wss", "grpc", "zz/zz"]),
    },
)
services = st.fixed_dictionaries(
    {"ports": st.lists(ports, max_size=4)},
    optional={
        "type": st.sampled_from(["ClusterIP", "ExternalName"]),
        "clusterIP": st.sampled_from(["None", "10.0.0.1"]),
        "externalName": st.just("zz.example.com"),
    },
)
wanted_ports = st.none() | numbers | names | st.integers(1, 65535)


def address(spec: Any, port: Any, *, certificates: bool = False, namespace: str = "ns") -> Resolved | Unresolved:
    ref = {"apiVersion": "v1", "kind": "Service", "name": "a", "namespace": namespace}
    sink = {"ref": ref | ({"port": port} if port else {}), **({"CACerts": PEM} if certificates else {})}
    return resolve(
        sink, "spec.sink", Scope("ns", {"Service.v1": {f"{namespace}/a": {"spec": spec}}}, ("v1/Service",), "c")
    )


def is_tcp(port: Any) -> bool:
    return bool(port.get("protocol", "TCP") == "TCP")


def number_in(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


@given(services, wanted_ports, st.booleans())
def test_port_is_a_tcp_port_of_the_service_or_a_number_that_no_other_protocol_has(
    spec: Any, port: Any, certificates: bool
) -> None:
    found = address(spec, port, certificates=certificates)
    if isinstance(found, Unresolved):
        return
    usable = [listed for listed in spec["ports"] if is_tcp(listed)]
    headless = spec.get("clusterIP") == "None" and spec.get("type") != "ExternalName"
    allowed = {listed.get("targetPort", listed["port"]) if headless else listed["port"] for listed in usable}
    if headless or spec.get("type") == "ExternalName" or not spec["ports"]:
        others = {listed["port"] for listed in spec["ports"]} - {listed["port"] for listed in usable}
        allowed |= {port} - others if port else {80, 443}
    assert number_in(found.uri) in allowed


@given(services, ports, st.sampled_from(["UDP", "SCTP"]))
def test_port_of_another_protocol_is_refused_by_number_and_by_name(spec: Any, other: Any, protocol: str) -> None:
    other = {"name": "zz", **other, "protocol": protocol}
    written = {other["port"], other["name"]}
    tcp = [port for port in spec["ports"] if is_tcp(port) and not written & {port["port"], port.get("name")}]
    for port in written:
        found = address({**spec, "ports": [*tcp, other]}, port)
        assert isinstance(found, Unresolved)
        assert f"only the {protocol} port {port}, and events need TCP; " in found.message


@given(ports.filter(is_tcp), st.booleans())
def test_scheme_is_https_by_app_protocol_then_by_name_then_by_number(port: Any, certificates: bool) -> None:
    found = address({"ports": [port]}, None, certificates=certificates)
    assert isinstance(found, Resolved)
    by_app = {"http": False, "kubernetes.io/h2c": False, "https": True, "kubernetes.io/wss": True}
    evidence = [by_app.get(port.get("appProtocol", ""))]
    evidence += [
        name.startswith("https") for name in (str(port.get("targetPort")), port.get("name", "")) if name[:4] == "http"
    ]
    is_tls = next((tls for tls in evidence if tls is not None), port["port"] == 443)
    assert urlsplit(found.uri).scheme == ("https" if is_tls or certificates else "http")


@given(services, wanted_ports)
def test_message_says_what_to_write_and_each_listed_port_can_be_written(spec: Any, port: Any) -> None:
    found = address(spec, port)
    if isinstance(found, Resolved):
        return
    assert re.search(r"set spec\.sink\.ref\.port to |choose another Service$", found.message)
    _, _, listed = found.message.partition("to one of: ")
    for number in re.findall(r"\d+", re.sub(r"\([^)]*\)", "", listed)):
        again = address(spec, int(number))
        assert isinstance(again, Resolved), again.message


@given(services, wanted_ports)
def test_message_about_another_namespace_contains_nothing_of_the_object(spec: Any, port: Any) -> None:
    found = address(spec, port, namespace="other")
    if isinstance(found, Resolved):
        return
    written = f"Service other/a has no TCP port {port};"
    shown = found.message.replace(written, "")
    assert HIDDEN not in shown
    assert not re.search(r"\d", shown)
    assert not re.search("UDP|SCTP", shown)


@given(services, wanted_ports, st.booleans())
def test_another_namespace_changes_the_host_only(spec: Any, port: Any, certificates: bool) -> None:
    own, foreign = (address(spec, port, certificates=certificates, namespace=name) for name in ("ns", "other"))
    assert isinstance(own, Resolved) == isinstance(foreign, Resolved)
    if isinstance(own, Resolved) and isinstance(foreign, Resolved):
        assert foreign.uri == own.uri.replace("a.ns.svc", "a.other.svc")
