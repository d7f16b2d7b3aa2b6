"""A listener in a process of its own: callers are checked, limited, and answered only after the sink."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from adapter.policy import LEAVE_S
from tests.process.harness import DEADLINE_S, Process, ScriptedSink, Start, display, free_port, listens, wait_until

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Webhook:
    """A WebhookSource in front of ``sink``; ``env`` variables in capitals."""

    def __init__(self, start: Start, sink: str, secret: str = "", delivery: Any = None, **config: Any) -> None:
        self.port, self.health_port = free_port(), free_port()
        own = {name: config.pop(name) for name in list(config) if name.isupper()}
        environ = {
            "SOURCE_KIND": "WebhookSource",
            "K_SINK": sink,
            "EVENT_SOURCE": "/a/b",
            "PORT": str(self.port),
            "HEALTH_PORT": str(self.health_port),
            "SOURCE_CONFIG": json.dumps(config),
            **({"SOURCE_SECRET_0": secret} if secret else {}),
            **({"SOURCE_DELIVERY": json.dumps(delivery)} if delivery else {}),
            **own,
        }
        self.process: Process = start("adapter", **environ)
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: listens(self.port), "the webhook", lambda: self.process.errors)

    def post(self, content: bytes = b"{}", path: str = "/", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(self.url + path, content=content, headers=named, timeout=DEADLINE_S, trust_env=False)


SECRET = {"type": "github", "secret": {"$env": "SOURCE_SECRET_0"}}


def test_a_request_becomes_an_event_with_the_callers_id_and_body(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, eventType="com.github", eventTypeHeader="X-GitHub-Event")
    body = b'{"zen": "Keep it small."}'
    answer = hook.post(body, X_GitHub_Delivery="d-1", X_GitHub_Event="push", Content_Type="application/json")
    assert (answer.status_code, answer.text) == (202, "")
    event = sink.event()
    assert (event["type"], event["id"], event["source"]) == ("com.github.push", "d-1", "/a/b")
    assert event["data"] == {"zen": "Keep it small."}
    assert event["headers"]["content-type"] == "application/json"


def test_a_delivery_that_comes_again_has_the_id_it_had(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url)
    for body in (b"a", b"a, as the caller has it now"):
        assert hook.post(body, X_GitHub_Delivery="d-1").status_code == 202
    assert [sink.event()["id"] for _ in range(2)] == ["d-1", "d-1"]


def test_without_a_delivery_id_equal_bodies_have_equal_ids(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url)
    for body in (b"a", b"a", b"b"):
        assert hook.post(body).status_code == 202
    ids = [sink.event()["id"] for _ in range(3)]
    assert ids[0] == ids[1] == f"sha256-{hashlib.sha256(b'a').hexdigest()}"
    assert ids[2] != ids[0]


def binary() -> tuple[bytes, dict[str, str]]:
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/theirs", "ce-type": "their.type",
               "ce-region": "eu", "ce-time": "2026-01-01T00:00:00Z", "Content-Type": "text/plain"}  # fmt: skip
    return b"hi", headers


def structured() -> tuple[bytes, dict[str, str]]:
    event = {"specversion": "1.0", "id": "7", "source": "/theirs", "type": "their.type", "region": "eu",
             "time": "2026-01-01T00:00:00Z", "datacontenttype": "text/plain", "data": "hi"}  # fmt: skip
    return json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"}


@pytest.mark.parametrize("mode", [pytest.param(binary, id="binary"), pytest.param(structured, id="structured")])
def test_a_cloudevent_passes_through_with_its_own_attributes(
    start: Start, mode: Callable[[], tuple[bytes, dict[str, str]]]
) -> None:
    sink, url = display(start)
    body, headers = mode()
    hook = Webhook(start, url)
    assert httpx2.post(hook.url, content=body, headers=headers, trust_env=False).status_code == 202
    event = sink.event()
    assert [event[name] for name in ("id", "source", "type", "data")] == ["7", "/theirs", "their.type", "hi"]
    assert event["extensions"]["region"] == "eu"
    assert event["time"] == "2026-01-01T00:00:00Z"
    assert event["datacontenttype"] == "text/plain"


PNG = b"\x89PNG\xff"
CARRIED = {
    "octets": ('"datacontenttype":"image/png","data_base64":"iVBOR/8="', "image/png", PNG),
    "json-text": ('"datacontenttype":"application/json","data":"hello"', "application/json", b'"hello"'),
    "json-number": ('"data":{"n":1.10}', "application/json", b'{"n":1.10}'),
    "nothing": ('"subject":null', None, b""),
}


@pytest.mark.parametrize(("members", "content_type", "data"), CARRIED.values(), ids=CARRIED)
def test_nothing_of_a_cloudevent_is_changed_added_or_lost(
    start: Start, members: str, content_type: str | None, data: bytes
) -> None:
    with ScriptedSink(lambda connection, n: connection.sendall(ACCEPTED)) as sink:
        hook = Webhook(start, sink.url)
        event = f'{{"specversion":"1.0","id":"7","source":"/theirs","type":"t","on":true,"count":5,{members}}}'
        answer = hook.post(event.encode(), Content_Type="Application/CloudEvents+json; charset=utf-8", ce_id="8")
        assert answer.status_code == 202
        ((headers, body),) = sink.requests
    attributes = {name: value for name, value in headers.items() if name.startswith("ce-")}
    assert attributes == {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/theirs", "ce-type": "t",
                          "ce-on": "true", "ce-count": "5"}  # fmt: skip
    assert (headers.get("content-type"), body) == (content_type, data)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({"Content_Encoding": "gzip"}, "content encoding gzip is not unpacked here\n", id="packed"),
        pytest.param(
            {"Content_Type": "application/cloudevents-batch+json"},
            "content type application/cloudevents-batch+json is not supported; "
            "send application/cloudevents+json, one event a request\n",
            id="batch",
        ),
    ],
)
def test_what_is_not_read_here_is_refused_with_a_sentence(start: Start, headers: dict[str, str], said: str) -> None:
    sink, url = display(start)
    answer = Webhook(start, url).post(b"[]", **headers)
    assert (answer.status_code, answer.text) == (415, said)
    assert answer.headers.get("accept-encoding") == ("identity" if "Content_Encoding" in headers else None)
    assert sink.lines.empty()


def test_a_broken_cloudevent_is_refused_with_the_reason(start: Start) -> None:
    _, url = display(start)
    answer = Webhook(start, url).post(b"x", ce_specversion="1.0")
    assert (answer.status_code, answer.text) == (400, "required attributes are missing: id, source, type\n")


def github(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_only_a_right_signature_is_let_in(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET)
    assert hook.post(b"a", X_Hub_Signature_256=github("hush", b"a")).status_code == 202
    for wrong in (github("other", b"a"), github("hush", b"b"), "", "sha256="):
        answer = hook.post(b"a", X_Hub_Signature_256=wrong)
        assert (answer.status_code, answer.text) == (401, "X-Hub-Signature-256 does not match the body\n")
    sink.event()
    assert sink.lines.empty()
    assert "hush" not in "".join(hook.process.errors)


def test_a_bearer_token_is_compared(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET | {"type": "bearer"})
    assert hook.post(Authorization="Bearer hush").status_code == 202
    for wrong in ("Bearer other", "hush", "Basic hush", ""):
        assert hook.post(Authorization=wrong).status_code == 401


def test_ids_and_tokens_in_utf_8_are_read_as_such(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "pässwort", auth=SECRET | {"type": "bearer"}, idHeader="X-Id")
    headers = {"Authorization": "Bearer pässwort".encode(), "X-Id": "café".encode()}
    answer = httpx2.post(hook.url, content=b"{}", headers=headers, timeout=DEADLINE_S, trust_env=False)
    assert answer.status_code == 202
    assert sink.event()["id"] == "café"


def test_attributes_that_a_signature_does_not_cover_are_ignored(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET)
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_type": "com.bank.payment", "ce_source": "/bank"}
    assert hook.post(b"a", X_Hub_Signature_256=github("hush", b"a"), **headers).status_code == 202
    event = sink.event()
    assert (event["source"], event["type"], event["extensions"]) == ("/a/b", "dev.knative.webhook.request", {})


def test_standard_webhooks_are_checked_with_their_time(start: Start) -> None:
    sink, url = display(start)
    key = b"a key of sixteen"
    hook = Webhook(start, url, f"whsec_{base64.b64encode(key).decode()}", auth=SECRET | {"type": "standardWebhooks"})

    def post(at: float, signed: bytes = b"body") -> int:
        content = b".".join([b"m-1", str(int(at)).encode(), signed])
        signature = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        headers = {"webhook_id": "m-1", "webhook_timestamp": str(int(at)), "webhook_signature": f"v1,AAAA {signature}"}
        return hook.post(b"body", X_GitHub_Delivery="another", **headers).status_code

    assert post(time.time()) == 202
    assert sink.event()["id"] == "m-1"  # which is signed
    assert post(time.time() - 600) == 401
    assert post(time.time(), b"other") == 401
    assert hook.post(webhook_id="m-1", webhook_timestamp="7" * 5000, webhook_signature="v1,AAAA").status_code == 401
    assert hook.process.errors == [line for line in hook.process.errors if "failed" not in line]


@pytest.mark.parametrize(
    ("send", "status", "header"),
    [
        pytest.param(lambda hook: hook.post(path="/other"), 404, None, id="path"),
        pytest.param(lambda hook: httpx2.get(hook.url, trust_env=False), 405, ("allow", "POST"), id="method"),
        pytest.param(lambda hook: hook.post(b"x" * 1_100_000), 413, ("connection", "close"), id="size"),
    ],
)
def test_what_is_outside_the_limits_is_refused(
    start: Start, send: Callable[[Webhook], httpx2.Response], status: int, header: tuple[str, str] | None
) -> None:
    sink, url = display(start)
    answer = send(Webhook(start, url))
    assert answer.status_code == status
    assert header is None or answer.headers[header[0]] == header[1]
    assert sink.lines.empty()


def raw(hook: Webhook, octets: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", hook.port), timeout=DEADLINE_S)
    connection.sendall(octets)
    return connection


def test_expect_100_continue_is_answered(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url)
    with raw(hook, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    sink.event()


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        pytest.param(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 408 ", id="body"),
        pytest.param(b"POST / HTTP/1.1\r\nHost:", b"", id="headers"),
    ],
)
def test_a_caller_that_is_too_slow_is_cut_off(start: Start, octets: bytes, answer: bytes) -> None:
    _, url = display(start)
    with raw(Webhook(start, url), octets) as connection:
        assert connection.recv(100).startswith(answer)


@pytest.mark.parametrize(
    ("code", "answered", "again"),
    [pytest.param("400", 422, None, id="refused"), pytest.param("503", 503, "5", id="failing")],
)
def test_the_caller_is_told_what_the_sink_did_not_take(
    start: Start, code: str, answered: int, again: str | None
) -> None:
    _, url = display(start, "--statuses", ",".join([code] * 50))
    hook = Webhook(start, url, answerWithin="1s")
    answer = hook.post()
    assert (answer.status_code, answer.headers.get("retry-after")) == (answered, again)
    metrics = httpx2.get(f"http://127.0.0.1:{hook.health_port}/metrics", trust_env=False).text
    assert 'outcome="returned"} 1.0' in metrics
    assert 'outcome="lost"} 0.0' in metrics


def test_what_a_dead_letter_sink_takes_is_accepted(start: Start) -> None:
    _, url = display(start, "--statuses", "400,400")
    dead, dead_url = display(start)
    assert Webhook(start, url).post().status_code == 422
    assert Webhook(start, url, DEAD_LETTER_SINK=dead_url).post().status_code == 202
    assert dead.event()["extensions"]["knativeerrorcode"] == "400"


def test_the_dead_letter_sink_has_its_share_of_the_time_that_somebody_waits(start: Start) -> None:
    dead, dead_url = display(start)
    hook = Webhook(start, f"http://127.0.0.1:{free_port()}", answerWithin="2s", DEAD_LETTER_SINK=dead_url)
    began = time.monotonic()
    assert hook.post().status_code == 202
    assert time.monotonic() - began < 2
    assert dead.event()["extensions"]["knativeerrorcode"] == "500"


def test_who_waits_is_told_in_time_though_the_dead_letter_sink_hangs_too(start: Start) -> None:
    release = threading.Event()
    with ScriptedSink(lambda connection, n: release.wait(DEADLINE_S)) as sink:
        hook = Webhook(start, sink.url, answerWithin="1s", DEAD_LETTER_SINK=sink.url)
        began = time.monotonic()
        assert hook.post().status_code == 503
        assert time.monotonic() - began < 3  # not the ten seconds of an attempt
        release.set()


def test_nobody_waits_in_line_beyond_the_limit(start: Start) -> None:
    release = threading.Event()

    def hold(connection: socket.socket, n: int) -> None:
        release.wait(DEADLINE_S)
        connection.sendall(ACCEPTED)

    with ScriptedSink(hold) as sink:
        hook = Webhook(start, sink.url, maxInFlight=2)
        statuses: list[int] = []
        callers = [threading.Thread(target=lambda n=n: statuses.append(hook.post(str(n).encode()).status_code))
                   for n in range(2)]  # fmt: skip
        for caller in callers:
            caller.start()
        sink.wait_for(2)
        answer = hook.post(b"third")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        release.set()
        for caller in callers:
            caller.join()
        assert statuses == [202, 202]
        assert hook.post(b"fourth").status_code == 202


def told_to_stop(hook: Webhook) -> None:
    hook.process.child.terminate()
    readiness = f"http://127.0.0.1:{hook.health_port}/readiness"
    wait_until(
        lambda: httpx2.get(readiness, trust_env=False).text == "stopping\n", "a stop", lambda: hook.process.errors
    )


ASKED = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


def test_a_caller_that_keeps_its_connection_is_told_that_it_ends(start: Start) -> None:
    """Closed without a word, it may be closed on the caller's next request."""
    _, url = display(start)
    hook = Webhook(start, url)
    with raw(hook, ASKED) as connection:
        assert b"connection: close" not in connection.recv(1000).lower()
        told_to_stop(hook)
        connection.sendall(ASKED)
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"\r\nconnection: close\r\n" in answer
        assert connection.recv(1000) == b""
    assert hook.process.ended() == 0


def test_a_connection_that_is_kept_and_not_used_does_not_hold_a_stop_for_long(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    with raw(hook, ASKED) as connection:
        connection.recv(1000)
        code, seconds = hook.process.stop()
        assert (code, connection.recv(1000)) == (0, b"")
    assert LEAVE_S <= seconds < LEAVE_S + 3


def test_a_stop_answers_who_is_under_way_and_then_turns_newcomers_away(start: Start) -> None:
    release = threading.Event()

    def hold(connection: socket.socket, n: int) -> None:
        release.wait(DEADLINE_S)
        connection.sendall(ACCEPTED)

    with ScriptedSink(hold) as sink:
        hook = Webhook(start, sink.url)
        answers: list[httpx2.Response] = []
        caller = threading.Thread(target=lambda: answers.append(hook.post()))
        caller.start()
        sink.wait_for(1)
        hook.process.child.terminate()
        wait_until(lambda: answered_soon(hook, b"late") == "this adapter stops\n", "newcomers turned away")
        release.set()
        caller.join()
        assert [(it.status_code, it.headers["connection"]) for it in answers] == [(202, "close")]
        assert hook.process.ended() == 0
        assert all(line.startswith("{") for line in hook.process.errors), hook.process.errors


def answered_soon(hook: Webhook, content: bytes) -> str | None:
    """What; None if it was let in and waits for the sink."""
    try:
        return httpx2.post(hook.url, content=content, timeout=0.3, trust_env=False).text
    except httpx2.ReadTimeout:
        return None
