"""Sinks: RFC 3986 joins, URLs as Go writes them, certificates, references."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.addresses import Resolved, Unresolved
from hooks.diagnosis.reasons import Reason
from hooks.sinks import Scope, related_rules, resolve
from tests.unit.hooks.hook import BROKER, PEM

KINDS = ("v1/Service", BROKER)
REF = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}


def resolved(sink: Any, status: Any = None) -> Resolved | Unresolved:
    related = {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": status}}} if status else {}
    return resolve(sink, "spec.sink", Scope("ns", related, KINDS, "cluster.local"))


def at(url: str, **more: str) -> dict[str, Any]:
    return {"address": {"url": url, **more}}


@pytest.mark.parametrize(
    ("base", "uri", "joined"),
    [
        ("http://b/x/y", "", "http://b/x/y"),
        ("http://b", "c", "http://b/c"),
        ("http://b", "/c", "http://b/c"),
        ("http://b/x/y", "c", "http://b/x/c"),
        ("http://b/x/y/", "c", "http://b/x/y/c"),
        ("http://b/x/y", "/c", "http://b/c"),
        ("http://b/x/y", "../c", "http://b/c"),
        ("http://b/x/y", "../../../c", "http://b/c"),
        ("http://b/x/y", "./c", "http://b/x/c"),
        ("http://b/x/y?q=1", "c", "http://b/x/c"),
        ("http://b/x/y?q=1", "?r=2", "http://b/x/y?r=2"),
        ("http://b/x/y?q=1", "#f", "http://b/x/y?q=1#f"),
        ("http://b/x", "c?d=e&f", "http://b/c?d=e&f"),
        ("http://b:8080/x", "c%2Fd", "http://b:8080/c%2Fd"),
        ("http://b/x", "ü", "http://b/%C3%BC"),
    ],
)
def test_relative_uri_is_resolved_as_in_rfc_3986(base: str, uri: str, joined: str) -> None:
    assert resolved({"ref": REF, "uri": uri}, at(base)) == Resolved(joined)


@pytest.mark.parametrize(
    ("uri", "quoted"),
    [
        ("http://h", "http://h"),
        ("HTTP://h/x", "http://h/x"),
        ("http://H/x", "http://H/x"),
        ("http://h/ü?q=ü", "http://h/%C3%BC?q=ü"),
        ("http://h/a%20b", "http://h/a%20b"),
        ("http://h/a!'()*;=@:b", "http://h/a!'()*;=@:b"),
        ("http://h:8080/", "http://h:8080/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://h/x#f", "https://h/x#f"),
    ],
)
def test_uri_is_written_as_in_go(uri: str, quoted: str) -> None:
    assert resolved({"uri": uri}) == Resolved(quoted)


@pytest.mark.parametrize(
    "uri",
    ["", "h", "/x", "//h/x", "h:8080/x", "http:///x", "http://", "ftp://h", "http://h:0", "http://h:99999", "http://h:x",
     "http://h/a b", "http://h/\n", "http://[::1"],
)  # fmt: skip
def test_uri_without_ref_must_be_an_absolute_http_url(uri: str) -> None:
    answer = resolved({"uri": uri})
    assert isinstance(answer, Unresolved)
    assert answer.reason == "InvalidSink"


@pytest.mark.parametrize("uri", ["http://h/x", "HTTP:x", "//h/x", "mailto:x", "/a b", "http:"])
def test_uri_with_ref_must_be_relative(uri: str) -> None:
    answer = resolved({"ref": REF, "uri": uri}, at("http://b/x"))
    assert isinstance(answer, Unresolved)
    assert answer.reason == "InvalidSink"


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        pytest.param(PEM, True, id="one"),
        pytest.param(PEM * 2, True, id="two"),
        pytest.param("# the root\n" + PEM, True, id="comment-before"),
        pytest.param(PEM.replace("\n", "\r\n"), True, id="windows-lines"),
        pytest.param("", True, id="empty"),
        pytest.param("nope", False, id="word"),
        pytest.param("-----BEGIN CERTIFICATE-----\n", False, id="no-end"),
        pytest.param(PEM.replace("MIIB", "M?IB"), False, id="no-base64"),
        pytest.param(PEM.replace("MIIB", "QUJD"), False, id="no-der"),
        pytest.param(PEM + "-----BEGIN CERTIFICATE-----\nMIIB\n", False, id="second-without-end"),
        pytest.param(PEM.replace("CERTIFICATE", "PRIVATE KEY"), False, id="a-private-key"),
        pytest.param(PEM + PEM.replace("CERTIFICATE", "PRIVATE KEY"), False, id="with-a-private-key"),
        pytest.param(7, False, id="number"),
    ],
)
def test_ca_certs_must_be_pem_certificates(text: Any, usable: bool) -> None:
    answer = resolved({"uri": "https://h", "CACerts": text})
    assert answer == Resolved("https://h", text or None) if usable else isinstance(answer, Unresolved)


@pytest.mark.parametrize(
    ("sink", "status", "expected"),
    [
        pytest.param({}, at("https://b", CACerts=PEM, audience="a"), ("https://b", PEM, "a"), id="from-the-address"),
        pytest.param(
            {"CACerts": PEM * 2, "audience": "mine"},
            at("https://b", CACerts=PEM, audience="a"),
            ("https://b", PEM * 2, "mine"),
            id="from-the-sink",
        ),
        pytest.param({}, {"addresses": [{"url": "http://1"}], **at("http://2")}, ("http://1", None, None), id="first"),
        pytest.param({}, {"addresses": [], **at("http://2")}, ("http://2", None, None), id="no-addresses"),
    ],
)
def test_certificates_and_audience_of_the_sink_override_those_of_the_address(
    sink: Any, status: Any, expected: Any
) -> None:
    assert resolved({"ref": REF, **sink}, status) == Resolved(*expected)


ADDRESSES = {"addresses": [{"name": "in", "url": "http://in"}, {"name": "out", "url": "http://out"}]}


def test_address_is_chosen_by_name() -> None:
    assert resolved({"ref": REF | {"address": "out"}}, ADDRESSES) == Resolved("http://out")


def test_message_lists_the_addresses_if_the_name_is_unknown() -> None:
    answer = resolved({"ref": REF | {"address": "up"}}, ADDRESSES)
    assert answer == Unresolved(
        Reason.ADDRESS_NOT_FOUND, 'Broker ns/b has no address named "up"; its addresses: in, out'
    )


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ({}, "spec.sink is empty: set spec.sink.ref or spec.sink.uri"),
        ("x", 'spec.sink is "x": write an object with ref or uri'),
        ({"uri": 7}, "spec.sink.uri is 7: write a URL in quotes"),
        ({"uri": "/x"}, 'spec.sink.uri is "/x": without ref, write an absolute http(s) URL like http://host/path'),
        ({"ref": REF, "uri": "//h"}, 'spec.sink.uri is "//h": together with ref, write a relative path like /events'),
        ({"uri": "http://h", "audience": "a b"}, 'spec.sink.audience is "a b": write a string without spaces'),
        ({"ref": "x"}, 'spec.sink.ref is "x": write an object with apiVersion, kind and name'),
        ({"ref": REF | {"name": "a..b"}}, 'spec.sink.ref.name is "a..b": write the name of the object'),
        ({"ref": REF | {"namespace": "N"}}, 'spec.sink.ref.namespace is "N": write a namespace'),
        ({"ref": REF | {"address": 1}}, "spec.sink.ref.address is 1: write the name of an address"),
        ({"ref": REF | {"port": True}}, "spec.sink.ref.port is true: write a port number, or the name of a port"),
        ({"ref": REF | {"port": "0"}}, 'spec.sink.ref.port is "0": write a port number, or the name of a port'),
        (
            {"ref": REF | {"kind": "Trigger"}},
            "Trigger ns/b has the kind eventing.knative.dev/v1/Trigger, which is not allowed as a sink; allowed: "
            f"v1/Service, {BROKER}. Allow it with `sources manifests --sink-kinds`, or use spec.sink.uri",
        ),
        ({"ref": REF}, "Broker ns/b does not exist; create it or correct spec.sink.ref"),
    ],
)
def test_message_names_field_value_and_what_to_write(sink: Any, message: str) -> None:
    answer = resolved(sink)
    assert isinstance(answer, Unresolved)
    assert answer.message == message


@pytest.mark.parametrize(
    ("sink", "rules"),
    [
        pytest.param({"ref": REF}, [("eventing.knative.dev/v1", "brokers", "ns", ["b"])], id="own-namespace"),
        pytest.param(
            {"ref": {"apiVersion": "v1", "kind": "Service", "name": "s", "namespace": "other"}},
            [("v1", "services", "other", ["s"])],
            id="other-namespace",
        ),
        pytest.param({"ref": REF | {"kind": "Trigger"}}, [], id="not-on-the-list"),
        pytest.param({"ref": REF | {"name": "No Name"}}, [], id="malformed"),
        pytest.param({"uri": "http://h"}, [], id="uri"),
        pytest.param(None, [], id="none"),
        pytest.param("x", [], id="string"),
    ],
)
def test_rules_contain_only_objects_of_allowed_kinds(sink: Any, rules: list[Any]) -> None:
    found = related_rules([sink, sink], Scope("ns", {}, KINDS, "cluster.local"))
    assert [(rule["apiVersion"], rule["resource"], rule["namespace"], rule["names"]) for rule in found] == rules
