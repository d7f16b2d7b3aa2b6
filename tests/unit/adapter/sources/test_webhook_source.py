"""Events of WebhookSource: CloudEvents are forwarded unchanged, and unsigned headers are ignored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from adapter.cloudevents.encode import Message, encode
from adapter.sdk import Event, Refusal, Request
from adapter.sources.webhook_source import WebhookSource

KEY = "a key of sixteen"
OPEN = WebhookSource()
BINARY = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/theirs", "ce-type": "their.type"}
STRUCTURED = {"specversion": "1.0", "id": "7", "source": "/theirs", "type": "their.type"}
JSON = {"content-type": "application/cloudevents+json"}


def received(body: bytes = b"", headers: dict[str, str] | None = None, source: WebhookSource = OPEN) -> Event:
    event = asyncio.run(source.receive(Request("POST", "/", headers or {}, body)))
    assert isinstance(event, Event)
    return event


def refusal(body: bytes = b"", headers: dict[str, str] | None = None, source: WebhookSource = OPEN) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        received(body, headers, source)
    return caught.value.status, str(caught.value)


def structured(content_type: str = JSON["content-type"], **members: Any) -> tuple[bytes, dict[str, str]]:
    return json.dumps(STRUCTURED | members).encode(), {"content-type": content_type}


def message(event: Event) -> Message:
    return encode(event, source="/a/b", namespace="ns", overrides={})


def webhook(type: str, **config: Any) -> WebhookSource:
    return WebhookSource.model_validate({"auth": {"type": type, "secret": KEY}, **config})


def signed(type: str, body: bytes, id: str = "m-1") -> dict[str, str]:
    if type == "bearer":
        return {"authorization": f"Bearer {KEY}"}
    if type == "github":
        return {"x-hub-signature-256": "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()}
    at = str(int(time.time()))
    digest = hmac.new(KEY.encode(), f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature}


@pytest.mark.parametrize(("type", "forwarded"), [("none", True), ("bearer", True), ("github", False),
                                             ("standardWebhooks", False)])  # fmt: skip
def test_ce_headers_are_used_only_if_the_caller_does_not_sign(type: str, forwarded: bool) -> None:
    source = OPEN if type == "none" else webhook(type)
    credentials = {} if type == "none" else signed(type, b"{}")
    event = received(b"{}", {**BINARY, **credentials}, source)
    assert event.source == ("/theirs" if forwarded else None)
    assert (event.type == "their.type", event.id == "7") == (forwarded, forwarded)


@pytest.mark.parametrize("type", ["bearer", "github", "standardWebhooks"])
def test_structured_event_is_forwarded_because_its_body_is_signed(type: str) -> None:
    body, headers = structured()
    event = received(body, {**headers, **signed(type, body)}, webhook(type))
    assert (event.source, event.type, event.id) == ("/theirs", "their.type", "7")


@pytest.mark.parametrize("config", [{}, {"idHeader": "X-GitHub-Delivery"}], ids=["default", "id-header"])
def test_event_id_of_a_replayed_signed_request_is_the_signed_id(config: dict[str, str]) -> None:
    source = webhook("standardWebhooks", **config)
    headers = signed("standardWebhooks", b"body")
    ids = [received(b"body", {**headers, "x-github-delivery": given}, source).id for given in ("r1", "r2")]
    assert ids == ["m-1", "m-1"]


@pytest.mark.parametrize(
    ("header", "id"),
    [
        pytest.param("café".encode().decode("latin-1"), "café", id="utf-8"),
        pytest.param("caf\xe9", "café", id="latin-1"),
    ],
)
def test_id_header_is_decoded_as_utf_8_or_latin_1(header: str, id: str) -> None:
    assert received(headers={"webhook-id": header}).id == id


GITLAB = {"x-gitlab-event": "Push Hook", "x-gitlab-webhook-uuid": "w-1"}


def test_gitlab_deliveries_of_one_event_have_different_ids() -> None:
    """Several webhooks of one project: their deliveries share X-Gitlab-Event-UUID."""
    shared = {**GITLAB, "x-gitlab-event-uuid": "e-1"}
    assert [received(headers={**shared, "idempotency-key": key}).id for key in ("k-1", "k-2")] == ["k-1", "k-2"]


def test_resent_gitlab_delivery_has_the_same_id() -> None:
    kept = {**GITLAB, "idempotency-key": "k-1"}
    assert [received(headers={**kept, "x-gitlab-event-uuid": uuid}).id for uuid in ("e-1", "e-2")] == ["k-1", "k-1"]


def test_gitlab_delivery_without_idempotency_key_has_the_event_uuid() -> None:
    assert received(headers={**GITLAB, "x-gitlab-event-uuid": "e-1"}).id == "e-1"


@pytest.mark.parametrize("header", ["x-github-delivery", "webhook-id"])
def test_delivery_id_of_the_platform_takes_precedence_over_idempotency_key(header: str) -> None:
    assert received(headers={header: "d-1", "idempotency-key": "k-1"}).id == "d-1"


def test_equal_bodies_with_different_types_or_queries_have_different_ids() -> None:
    source = WebhookSource.model_validate({"eventTypeHeader": "X-Event"})
    requests = [
        Request("POST", "/", headers, b"{}", query)
        for headers in ({}, {"x-event": "opened"}, {"x-event": "closed"}, {"content-type": "application/json"})
        for query in ("", "tenant=a", "tenant=b")
    ]
    first, resent = ([asyncio.run(source.receive(request)).id for request in requests] for _ in range(2))
    assert first == resent
    assert len(set(first)) == len(requests)
    assert received(b"{} ").id not in first


def test_digest_keeps_the_parts_of_a_request_apart() -> None:
    """Text that moves from the query to the body changes the id."""
    ids = {asyncio.run(OPEN.receive(Request("POST", "/", {}, body, query))).id for body, query in ((b"bc", "a"),
                                                                                        (b"c", "ab"))}  # fmt: skip
    assert len(ids) == 2


def test_structured_content_type_takes_precedence_over_ce_headers() -> None:
    body, headers = structured("Application/CloudEvents+JSON; charset=utf-8", data={"n": 1})
    event = received(body, {**headers, **BINARY, "ce-id": "8", "ce-team": "x"})
    assert (event.id, event.extensions, event.data) == ("7", {}, b'{"n": 1}')


def test_binary_event_is_forwarded_unchanged() -> None:
    headers = {
        **BINARY,
        "ce-time": "2026-01-02T03:04:05.123456789+02:00",
        "ce-subject": "caf%C3%A9",
        "ce-averyverylongextensionname": "1",
        "ce-dataschema": "https://example.com/schema",
        "content-type": "image/PNG; q=1",
    }
    passed = message(received(b"\x89PNG\xff", headers))
    assert passed.body == b"\x89PNG\xff"
    assert {name.lower(): value for name, value in passed.headers.items()} == headers | {"kn-namespace": "ns"}


def test_missing_attributes_are_not_added() -> None:
    for body, headers in ((b"", BINARY), structured()):
        passed = message(received(body, headers))
        assert passed == Message({**BINARY, "Kn-Namespace": "ns"}, b"")


def test_invalid_json_is_forwarded_in_binary_mode() -> None:
    event = received(b"{", {**BINARY, "content-type": "application/json"})
    assert (event.data, event.content_type) == (b"{", "application/json")


@pytest.mark.parametrize(
    ("member", "text"),
    [(True, "true"), (False, "false"), (5, "5"), (-2147483648, "-2147483648"), ("True", "True"), ("", "")],
)
def test_extension_has_the_canonical_string_of_its_type(member: Any, text: str) -> None:
    assert message(received(*structured(on=member))).headers["ce-on"] == text


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip"])
def test_content_encoding_is_415(encoding: str) -> None:
    for headers in ({}, BINARY, JSON):
        status, reason = refusal(b"\x1f\x8b", {**headers, "content-encoding": encoding})
        assert (status, reason) == (415, f"content encoding {encoding.lower()} is not supported")


def test_structured_event_with_too_many_values_is_413() -> None:
    """It would take more memory than the adapter has. In binary mode, the data is not parsed."""
    body, headers = structured(data=[{}] * 100_000)
    status, reason = refusal(body, headers)
    assert (status, reason.partition(":")[0]) == (
        413,
        "the event has too many JSON values; send it in binary mode, with the data as the body",
    )
    assert received(body, BINARY).data == body


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_identity_content_encoding_is_accepted(encoding: str) -> None:
    assert received(b"x", {"content-encoding": encoding}).data == b"x"


@pytest.mark.parametrize("format", ["-batch+json", "+avro", "-batch+JSON; charset=utf-8", "+protobuf", ""])
def test_unsupported_mode_or_format_is_415(format: str) -> None:
    status, reason = refusal(b"[]", {"content-type": f"application/cloudevents{format}"})
    assert status == 415
    assert reason.endswith("is not supported; send application/cloudevents+json, one event per request")


BAD = {
    "no-event": ((b"x", {"ce-specversion": "1.0"}), "required attributes are missing: id, source, type"),
    "nested": (
        structured(datacontenttype="application/CloudEvents+json", data={}),
        "the data of the CloudEvent is a CloudEvent, which the sink would read as the event; wrap it in JSON",
    ),
    "content-type": (
        (b"x", {"content-type": "text/pl\xe4in"}),
        "Content-Type is not a media type: it must be printable ASCII",
    ),
}


@pytest.mark.parametrize(("request_", "sentence"), BAD.values(), ids=BAD)
def test_request_that_cannot_be_forwarded_is_400(request_: tuple[bytes, dict[str, str]], sentence: str) -> None:
    assert refusal(*request_) == (400, sentence)
