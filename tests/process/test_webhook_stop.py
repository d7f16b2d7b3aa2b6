"""Shutdown of a WebhookSource: it answers requests in flight and closes connections with the last response."""

from __future__ import annotations

import socket
import threading

import httpx2

from adapter.contract.timeouts import TIMEOUTS
from tests.process.harness import DEADLINE_S, ScriptedSink, Start, display, wait_until
from tests.process.webhook import ACCEPTED, Webhook, raw


def terminate(hook: Webhook) -> None:
    hook.process.child.terminate()
    readiness = f"http://127.0.0.1:{hook.health_port}/readiness"
    wait_until(
        lambda: httpx2.get(readiness, trust_env=False, timeout=DEADLINE_S).text == "stopping\n",
        "a stop",
        lambda: hook.process.errors,
    )


REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


def test_last_response_on_a_connection_closes_it(start: Start) -> None:
    """Without ``Connection: close``, the caller may send a request on a connection that is being closed."""
    _, url = display(start)
    hook = Webhook(start, url)
    with raw(hook, REQUEST) as connection:
        assert b"connection: close" not in connection.recv(1000).lower()
        terminate(hook)
        connection.sendall(REQUEST)
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert connection.recv(1000) == b""
    assert hook.process.ended() == 0


def test_idle_connection_delays_the_shutdown_only_by_listener_drain_s(start: Start) -> None:
    _, url = display(start)
    hook = Webhook(start, url)
    with raw(hook, REQUEST) as connection:
        connection.recv(1000)
        code, seconds, asleep_s = hook.process.stop()
        assert (code, connection.recv(1000)) == (0, b"")
    assert TIMEOUTS.listener_drain_s <= seconds
    assert asleep_s < TIMEOUTS.listener_drain_s + 3


def test_requests_in_flight_are_answered_and_new_requests_get_503(start: Start) -> None:
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
        wait_until(lambda: text_of_quick_response(hook, b"late") == "the adapter is stopping\n", "new requests refused")
        release.set()
        caller.join()
        assert [(answer.status_code, answer.headers["connection"]) for answer in answers] == [(202, "close")]
        assert hook.process.ended() == 0
        assert all(line.startswith("{") for line in hook.process.errors), hook.process.errors


def text_of_quick_response(hook: Webhook, content: bytes) -> str | None:
    """The text of the response; None if the request waits for the sink."""
    try:
        return httpx2.post(hook.url, content=content, timeout=0.3, trust_env=False).text
    except httpx2.ReadTimeout:
        return None
