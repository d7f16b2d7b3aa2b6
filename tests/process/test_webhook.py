"""A WebhookSource process: authentication, limits, and responses that follow the sink."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Callable

import httpx2
import pytest

from tests.process.harness import DEADLINE_S, ScriptedSink, Start, display, free_port
from tests.process.webhook import ACCEPTED, SECRET, Webhook, github, raw


def test_request_becomes_an_event_with_the_callers_id_and_body(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, eventType="com.github", eventTypeHeader="X-GitHub-Event")
    body = b'{"zen": "Keep it small."}'
    answer = hook.post(body, X_GitHub_Delivery="d-1", X_GitHub_Event="push", Content_Type="application/json")
    assert (answer.status_code, answer.text) == (202, "")
    event = sink.event()
    assert (event["type"], event["id"], event["source"]) == ("com.github.push", "d-1", "/a/b")
    assert event["data"] == {"zen": "Keep it small."}
    assert event["headers"]["content-type"] == "application/json"


def test_repeated_delivery_has_the_same_event_id(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url)
    for body in (b"a", b"a, as the caller has it now"):
        assert hook.post(body, X_GitHub_Delivery="d-1").status_code == 202
    assert [sink.event()["id"] for _ in range(2)] == ["d-1", "d-1"]


def test_event_id_is_a_digest_without_a_delivery_id(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url)
    for body, path in ((b"a", "/"), (b"a", "/"), (b"b", "/"), (b"a", "/?tenant=b")):
        assert hook.post(body, path).status_code == 202
    ids = [sink.event()["id"] for _ in range(4)]
    digested = b'["dev.knative.webhook.request", "", ""]a'
    assert ids[0] == ids[1] == f"sha256-{hashlib.sha256(digested).hexdigest()}"
    assert len(set(ids)) == 3


def test_wrong_github_signature_is_401(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET)
    assert hook.post(b"a", X_Hub_Signature_256=github("hush", b"a")).status_code == 202
    for wrong in (github("other", b"a"), github("hush", b"b"), "", "sha256="):
        answer = hook.post(b"a", X_Hub_Signature_256=wrong)
        assert (answer.status_code, answer.text) == (401, "X-Hub-Signature-256 does not match the body\n")
    sink.event()
    assert sink.lines.empty()
    assert "hush" not in "".join(hook.process.errors)


def test_wrong_bearer_token_is_401(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET | {"type": "bearer"})
    assert hook.post(Authorization="Bearer hush").status_code == 202
    for wrong in ("Bearer other", "hush", "Basic hush", ""):
        assert hook.post(Authorization=wrong).status_code == 401


def test_ids_and_tokens_are_decoded_as_utf_8(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "pässwort", auth=SECRET | {"type": "bearer"}, idHeader="X-Id")
    headers = {"Authorization": "Bearer pässwort".encode(), "X-Id": "café".encode()}
    answer = httpx2.post(hook.url, content=b"{}", headers=headers, timeout=DEADLINE_S, trust_env=False)
    assert answer.status_code == 202
    assert sink.event()["id"] == "café"


def test_standard_webhooks_with_an_old_timestamp_are_401(start: Start) -> None:
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
        pytest.param(
            lambda hook: httpx2.get(hook.url, trust_env=False, timeout=DEADLINE_S), 405, ("allow", "POST"), id="method"
        ),
        pytest.param(lambda hook: hook.post(b"x" * 1_100_000), 413, ("connection", "close"), id="size"),
    ],
)
def test_wrong_path_method_or_size_is_refused(
    start: Start, send: Callable[[Webhook], httpx2.Response], status: int, header: tuple[str, str] | None
) -> None:
    sink, url = display(start)
    answer = send(Webhook(start, url))
    assert answer.status_code == status
    assert header is None or answer.headers[header[0]] == header[1]
    assert sink.lines.empty()


def test_handshake_is_answered_and_sends_no_event(start: Start) -> None:
    sink, url = display(start)
    hook = Webhook(start, url, "hush", auth=SECRET, allowedOrigins=["eventgrid.azure.net"])
    for origin, status, allowed in (("eventgrid.azure.net", 200, "eventgrid.azure.net"), ("evil.example", 403, None)):
        answer = httpx2.options(hook.url, headers={"WebHook-Request-Origin": origin}, trust_env=False)
        assert (answer.status_code, answer.headers.get("webhook-allowed-origin")) == (status, allowed)
        assert answer.headers["allow"] == "POST, OPTIONS"
    assert hook.post(b"a").status_code == 401
    assert sink.lines.empty()


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
def test_slow_caller_is_disconnected(start: Start, octets: bytes, answer: bytes) -> None:
    _, url = display(start)
    with raw(Webhook(start, url), octets) as connection:
        assert connection.recv(100).startswith(answer)


@pytest.mark.parametrize(
    ("code", "answered", "again"),
    [pytest.param("400", 422, None, id="refused"), pytest.param("503", 503, "5", id="failing")],
)
def test_response_tells_whether_the_sink_refused_or_failed(
    start: Start, code: str, answered: int, again: str | None
) -> None:
    _, url = display(start, "--statuses", ",".join([code] * 50))
    hook = Webhook(start, url, answerWithin="1s")
    answer = hook.post()
    assert (answer.status_code, answer.headers.get("retry-after")) == (answered, again)
    metrics = httpx2.get(f"http://127.0.0.1:{hook.health_port}/metrics", trust_env=False, timeout=DEADLINE_S).text
    assert 'outcome="returned"} 1.0' in metrics
    assert 'outcome="lost"} 0.0' in metrics


def test_event_accepted_by_the_dead_letter_sink_is_202(start: Start) -> None:
    _, url = display(start, "--statuses", "400,400")
    dead, dead_url = display(start)
    assert Webhook(start, url).post().status_code == 422
    assert Webhook(start, url, DEAD_LETTER_SINK=dead_url).post().status_code == 202
    assert dead.event()["extensions"]["knativeerrorcode"] == "400"


ENDLESS = {"K_SINK_TIMEOUT": str(10 * DEADLINE_S)}  # of one attempt: a caller that waits for it fails the test


def test_dead_letter_sink_is_tried_within_answer_within(start: Start) -> None:
    dead, dead_url = display(start)
    hook = Webhook(start, f"http://127.0.0.1:{free_port()}", answerWithin="2s", DEAD_LETTER_SINK=dead_url, **ENDLESS)
    assert hook.post().status_code == 202
    assert dead.event()["extensions"]["knativeerrorcode"] == "500"


def test_response_is_in_time_when_both_sinks_hang(start: Start) -> None:
    release = threading.Event()
    with ScriptedSink(lambda connection, n: release.wait(DEADLINE_S)) as sink:
        hook = Webhook(start, sink.url, answerWithin="1s", DEAD_LETTER_SINK=sink.url, **ENDLESS)
        assert hook.post().status_code == 503
        release.set()


def test_request_beyond_max_in_flight_is_503_at_once(start: Start) -> None:
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
