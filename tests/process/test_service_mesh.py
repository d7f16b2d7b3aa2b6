"""The real adapter behind a proxy in its pod, as in a service mesh: the proxy starts late, and stops early or last."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.deadline import DEADLINE_S
from tests.process.harness import Adapter, ScriptedSink, Start, display, free_port, wait_until

EVENTS = 20
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FAILED = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Sidecar:
    """Relays the connections to ``port``. Before it starts, and after ``drain()``, the port refuses connections."""

    def __init__(self, port: int, sink: str) -> None:
        self._sink = ("127.0.0.1", urlsplit(sink).port)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def drain(self) -> None:
        """Accept no more connections; the open ones stay, as in a proxy that drains after SIGTERM."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        self._listener.close()

    def stop(self) -> None:
        """Drain, and wait until both sides have closed the open connections."""
        self.drain()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                inside, _ = self._listener.accept()
                outside = socket.create_connection(self._sink)
                self._connections += (inside, outside)
                for pair in ((inside, outside), (outside, inside)):
                    self._threads.append(threading.Thread(target=_copy, args=pair))
                    self._threads[-1].start()


def _copy(read: socket.socket, write: socket.socket) -> None:
    with suppress(OSError):
        while octets := read.recv(65536):
            write.sendall(octets)
    with suppress(OSError):
        write.shutdown(socket.SHUT_WR)


@contextmanager
def sidecar(port: int, sink: str) -> Iterator[Sidecar]:
    started = Sidecar(port, sink)
    try:
        yield started
    finally:
        started.stop()


def test_proxy_that_starts_late_delays_the_first_event_and_loses_none(start: Start) -> None:
    sink, sink_url = display(start)
    port = free_port()
    burst = {
        "INTERVAL": "",
        "SOURCES_PACKAGE": "tests.kinds",
        "SOURCE_KIND": "BurstSource",
        "SOURCE_CONFIG": f'{{"count": {EVENTS}}}',
    }
    source = Adapter(start, f"http://127.0.0.1:{port}", **burst)
    source.wait_for_attempts("transport", 4)
    assert source.get("/health")[0] == 200  # so the kubelet does not restart the adapter
    assert sink.lines.empty()
    with sidecar(port, sink_url):
        assert [sink.event()["id"] for _ in range(EVENTS)] == [str(n) for n in range(EVENTS)]
        assert source.process.stop()[0] == 0
    assert sink.lines.empty()
    assert source.process.logged("event lost") == []


def test_event_in_hand_is_delivered_through_a_proxy_that_drains_at_the_same_time(start: Start) -> None:
    """As a sidecar that is an ordinary container: it gets SIGTERM together with the adapter."""
    answer = threading.Event()

    def held(connection: socket.socket, n: int) -> None:
        answer.wait(DEADLINE_S)
        connection.sendall(ACCEPTED)

    port = free_port()
    with ScriptedSink(held) as sink, sidecar(port, sink.url) as proxy:
        source = Adapter(start, f"http://127.0.0.1:{port}", "10s")
        sink.wait_for(1)
        source.process.child.send_signal(signal.SIGTERM)
        proxy.drain()
        wait_until(lambda: source.get("/readiness")[0] == 503, "readiness 503")
        answer.set()
        assert source.process.ended() == 0
        assert len(sink.requests) == 1
    assert source.process.logged("event lost") == []


def test_retry_during_the_drain_is_delivered_through_a_proxy_that_stops_last(start: Start) -> None:
    """As a native sidecar: the kubelet stops it after the adapter has ended."""
    answer = threading.Event()

    def fails_once(connection: socket.socket, n: int) -> None:
        answer.wait(DEADLINE_S)
        connection.sendall(ACCEPTED if n else FAILED)

    port = free_port()
    with ScriptedSink(fails_once) as sink:
        with sidecar(port, sink.url):
            source = Adapter(start, f"http://127.0.0.1:{port}", "10s")
            sink.wait_for(1)
            source.process.child.send_signal(signal.SIGTERM)
            wait_until(lambda: source.get("/readiness")[0] == 503, "readiness 503")
            answer.set()
            assert source.process.ended() == 0
        assert len(set(sink.ids)) == 1
        assert len(sink.ids) == 2
    assert source.process.logged("event lost") == []
