"""Destination vectors: RFC 3986 joins, URLs as Go writes them, certificates, references - one row, one case."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.addresses import Resolved, Unresolved
from hooks.sinks import related_rules, resolve

BROKER = "eventing.knative.dev/v1/Broker"
KINDS = ("v1/Service", BROKER)
REF = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def resolved(sink: Any, status: Any = None) -> Resolved | Unresolved:
    related = {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": status}}} if status else {}
    return resolve(sink, namespace="ns", related=related, sink_kinds=KINDS, cluster_domain="cluster.local")


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
def test_a_relative_uri_is_resolved_as_rfc_3986_says(base: str, uri: str, joined: str) -> None:
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
        ("http://user:pass@h:8080/", "http://user:pass@h:8080/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://h/x#f", "https://h/x#f"),
    ],
)
def test_a_uri_is_written_as_go_writes_it(uri: str, quoted: str) -> None:
    assert resolved({"uri": uri}) == Resolved(quoted)


@pytest.mark.parametrize(
    "uri",
    ["", "h", "/x", "//h/x", "h:8080/x", "http:///x", "http://", "ftp://h", "http://h:0", "http://h:99999", "http://h:x",
     "http://h/a b", "http://h/\n", "http://[::1"],
)  # fmt: skip
def test_a_uri_alone_is_absolute_http(uri: str) -> None:
    answer = resolved({"uri": uri})
    assert isinstance(answer, Unresolved)
    assert answer.reason == "InvalidSink"


@pytest.mark.parametrize("uri", ["http://h/x", "HTTP:x", "//h/x", "mailto:x", "/a b", "http:"])
def test_a_uri_beside_a_ref_stays_at_the_ref(uri: str) -> None:
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
        pytest.param("", True, id="empty-is-none"),
        pytest.param("nope", False, id="word"),
        pytest.param("-----BEGIN CERTIFICATE-----\n", False, id="no-end"),
        pytest.param(PEM.replace("MIIB", "M?IB"), False, id="no-base64"),
        pytest.param(PEM.replace("MIIB", "QUJD"), False, id="no-der"),
        pytest.param(PEM + "-----BEGIN CERTIFICATE-----\nMIIB\n", False, id="second-one-cut-off"),
        pytest.param(PEM.replace("CERTIFICATE", "PRIVATE KEY"), False, id="a-private-key"),
        pytest.param(PEM + PEM.replace("CERTIFICATE", "PRIVATE KEY"), False, id="with-a-private-key"),
        pytest.param(7, False, id="number"),
    ],
)
def test_certificates_are_pem(text: Any, usable: bool) -> None:
    answer = resolved({"uri": "https://h", "CACerts": text})
    assert answer == Resolved("https://h", text or None) if usable else isinstance(answer, Unresolved)


@pytest.mark.parametrize(
    ("sink", "status", "expected"),
    [
        pytest.param({}, at("https://b", CACerts=PEM, audience="a"), ("https://b", PEM, "a"), id="the-addresss"),
        pytest.param(
            {"CACerts": PEM * 2, "audience": "mine"},
            at("https://b", CACerts=PEM, audience="a"),
            ("https://b", PEM * 2, "mine"),
            id="the-sinks-own-win",
        ),
        pytest.param({}, {"addresses": [{"url": "http://1"}], **at("http://2")}, ("http://1", None, None), id="first"),
        pytest.param({}, {"addresses": [], **at("http://2")}, ("http://2", None, None), id="no-addresses"),
    ],
)
def test_trust_and_address_come_from_the_object_unless_the_sink_says(sink: Any, status: Any, expected: Any) -> None:
    assert resolved({"ref": REF, **sink}, status) == Resolved(*expected)


ADDRESSES = {"addresses": [{"name": "in", "url": "http://in"}, {"name": "out", "url": "http://out"}]}


def test_an_address_is_chosen_by_its_name() -> None:
    assert resolved({"ref": REF | {"address": "out"}}, ADDRESSES) == Resolved("http://out")


def test_an_address_that_is_not_there_lists_those_that_are() -> None:
    answer = resolved({"ref": REF | {"address": "up"}}, ADDRESSES)
    assert answer == Unresolved("AddressNotFound", 'Broker ns/b has no address named "up"; it has: in, out')


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
def test_only_an_allowed_sink_object_is_asked_for(sink: Any, rules: list[Any]) -> None:
    asked = related_rules([sink, sink], namespace="ns", sink_kinds=KINDS)
    assert [(it["apiVersion"], it["resource"], it["namespace"], it["names"]) for it in asked] == rules
