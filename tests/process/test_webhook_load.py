"""A WebhookSource under load: the caller gets 2xx only if the sink has the event, also during failures."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
import time

from tests.process.harness import DEADLINE_S, ScriptedSink, Start, wait_until
from tests.process.webhook import ACCEPTED, Webhook

PER_S, CALLERS = 200, 8
REFUSED = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Callers:
    """``CALLERS`` threads that send ``PER_S`` requests a second in total, with unique ids, to the ports in turn."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.accepted: list[str] = []
        self.others: list[int] = []  # status; 0: no response
        self._stop = threading.Event()
        self._ids = itertools.count()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            id = f"d-{next(self._ids)}"
            status = post(self.ports[hash(id) % len(self.ports)], id)
            self.accepted.append(id) if 200 <= status < 300 else self.others.append(status)
            due = max(due + CALLERS / PER_S, time.monotonic() - 1)
            self._stop.wait(max(0, due - time.monotonic()))


def post(port: int, id: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("POST", "/", b"{}", {"X-GitHub-Delivery": id})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_no_2xx_without_delivery_while_the_sink_fails_and_the_adapter_is_replaced(start: Start) -> None:
    dead = threading.Event()
    taken: set[str] = set()

    def answer(connection: socket.socket, n: int) -> None:
        headers, _ = sink.requests[n]
        if dead.is_set():
            connection.sendall(REFUSED) if n % 2 else connection.close()
            return
        taken.add(headers["ce-id"])
        connection.sendall(ACCEPTED)

    with ScriptedSink(answer) as sink:
        old = Webhook(start, sink.url, answerWithin="1s", maxInFlight=64)
        with Callers([old.port]) as callers:
            wait_until(lambda: len(callers.accepted) > PER_S // 2, "accepted requests", lambda: callers.others)
            dead.set()  # the sink fails
            wait_until(lambda: callers.others.count(503) > 20, "refused callers", lambda: old.process.errors)
            dead.clear()
            seen = len(callers.accepted)
            wait_until(lambda: len(callers.accepted) > seen + PER_S // 2, "accepted again", lambda: callers.others)
            new = Webhook(start, sink.url, answerWithin="1s", maxInFlight=64)
            callers.ports[:] = [new.port]  # the Service has only the new pod, and then the old pod ends
            assert old.process.stop()[0] == 0
            seen = len(callers.accepted)
            wait_until(lambda: len(callers.accepted) > seen + PER_S // 2, "accepted by the new pod")
    assert set(callers.accepted) <= taken
    assert 0 not in callers.others  # no connection was refused or reset
    assert len(callers.accepted) > PER_S
    assert all(line.startswith("{") for line in old.process.errors), old.process.errors
