"""From SIGTERM on: a listener answers who is under way, and says to each caller that its connection ends."""

from __future__ import annotations

import socket
import threading

import httpx2

from adapter.contract.timeouts import TIMEOUTS
from tests.process.harness import DEADLINE_S, ScriptedSink, Start, display, wait_until
from tests.process.webhook import ACCEPTED, Webhook, raw


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
    assert TIMEOUTS.listener_drain_s <= seconds < TIMEOUTS.listener_drain_s + 3


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
