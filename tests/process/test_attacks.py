"""Attacks on the ports of an adapter and of the hook, with the memory limits of their pods.

During and after each of them, the probe of the kubelet is answered, and a fifth of the limit is never used. The long
form (``LONG=1``) has more connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.process.cgroup import MIB, Group, memory_limit
from tests.process.harness import DEADLINE_S, Process, free_port, listens, wait_until
from tests.process.webhook import SECRET, Webhook

ADAPTER_MIB, HOOK_MIB = 128, 192
SPARE = 0.8
TIMES = 4 if os.environ.get("LONG") else 1
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
HALF_HEAD = POST + b"X: " + b"a" * (63 * 1024)
PIPELINE = (b"POST / HTTP/1.1\r\nHost: h\r\nX: 123456\r\n\r\n" * 6700)[: 256 * 1024]
MANY_OBJECTS = POST + b"a:\r\n" * 250 + b"\r\n"


class Port:
    """A port under attack, and the page that the kubelet probes."""

    def __init__(self, port: int, probe_url: str, group: Group, limit_mib: int) -> None:
        self.port = port
        self._probe_url, self._group, self._limit_mib = probe_url, group, limit_mib

    @contextlib.contextmanager
    def connections(self, count: int, octets: bytes) -> Iterator[list[socket.socket]]:
        """Connections that each have sent ``octets``, as far as the server read them. They read nothing."""
        with contextlib.ExitStack() as stack:
            opened = []
            for _ in range(count):
                connection = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)
                opened.append(stack.enter_context(connection))
                connection.settimeout(0.5)
                with contextlib.suppress(OSError):  # the server has closed it, or reads no more
                    for start in range(0, len(octets), MIB):
                        connection.sendall(octets[start : start + MIB])
            yield opened

    def post(self, body: bytes, path: str = "/sync") -> bytes:
        """The beginning of the response, or nothing if the server closed the connection before."""
        head = b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body))
        with self.connections(1, b"") as (connection,):
            connection.settimeout(DEADLINE_S)
            with contextlib.suppress(ConnectionError):
                connection.sendall(head)
                connection.sendall(body)
            with contextlib.suppress(ConnectionError):
                return connection.recv(4096)
            return b""

    def assert_alive(self) -> None:
        """The probe succeeds as fast as the kubelet wants it, and there is memory to spare."""
        with urllib.request.urlopen(self._probe_url, timeout=5) as response:
            assert response.status == 200
        assert self._group.killed() == 0
        assert self._group.peak_mib() <= SPARE * self._limit_mib


@pytest.fixture(scope="module")
def webhook() -> Iterator[dict[str, Port]]:
    """The port for callers and the one for the kubelet, of one process for all attacks."""
    with memory_limit(ADAPTER_MIB) as group:
        hook = Webhook(group.start, "http://127.0.0.1:9", secret="s", auth=SECRET)
        probe = f"http://127.0.0.1:{hook.health_port}/health"
        yield {name: Port(getattr(hook, name), probe, group, ADAPTER_MIB) for name in ("port", "health_port")}
        assert hook.process.stop()[0] == 0


@contextlib.contextmanager
def running_hook() -> Iterator[tuple[Port, Process]]:
    with memory_limit(HOOK_MIB) as group:
        number = free_port()
        process = group.start("hooks", ADAPTER_IMAGE="a:1", HOST="127.0.0.1", PORT=str(number))
        wait_until(lambda: listens(number), "the hook", lambda: process.errors)
        port = Port(number, f"http://127.0.0.1:{number}/healthz", group, HOOK_MIB)
        yield port, process
        if process.child.poll() is None:
            assert process.stop()[0] == 0


@pytest.mark.parametrize(
    ("attacked", "count", "octets"),
    [
        pytest.param("port", 8, PIPELINE, id="pipelines"),
        pytest.param("port", 200, MANY_OBJECTS * 16, id="many-headers"),
        pytest.param("port", 2600, HALF_HEAD, id="half-heads"),
        pytest.param("port", 600, HALF_HEAD[:40] + b"\r\nContent-Length: 9\r\n\r\na", id="half-bodies"),
        pytest.param("health_port", 1571, HALF_HEAD, id="half-heads-at-the-health-port"),
        pytest.param("health_port", 100, b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 5000, id="slow-readers"),
    ],
)
def test_adapter_survives(webhook: dict[str, Port], attacked: str, count: int, octets: bytes) -> None:
    with webhook[attacked].connections(count * TIMES, octets):
        webhook[attacked].assert_alive()
    webhook[attacked].assert_alive()


def test_adapter_survives_structured_events_of_many_objects_beside_bodies_in_flight() -> None:
    """One event is parsed at a time, but the bodies in flight need their memory, too."""
    with memory_limit(ADAPTER_MIB) as group, socket.create_server(("127.0.0.1", 0)) as silent_sink:
        hook = Webhook(group.start, f"http://127.0.0.1:{silent_sink.getsockname()[1]}", answerWithin="2s")
        port = Port(hook.port, f"http://127.0.0.1:{hook.health_port}/health", group, ADAPTER_MIB)
        plain = POST + b"Content-Length: %d\r\n\r\n" % (MIB - 1) + b"a" * (MIB - 1)
        items = (b'{"":' * 150 + b"0" + b"}" * 150 + b",") * 1300
        event = b'{"specversion":"1.0","id":"1","source":"/a","type":"b","data":[%s0]}' % items
        head = POST + b"Content-Type: application/cloudevents+json\r\nContent-Length: %d\r\n\r\n" % len(event)
        with port.connections(20, plain), port.connections(4, head + event) as events:
            for each in events:
                each.settimeout(DEADLINE_S)
                assert each.recv(12).startswith(b"HTTP/1.1 ")
        port.assert_alive()


PARENT = (
    b'{"parent":{"apiVersion":"a/v1","kind":"A","metadata":{"name":"a","namespace":"b","uid":"c"%s},"spec":{"x":%s}}%s}'
)


def items(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def wrong_members(size: int) -> bytes:
    return b"{" + b",".join(b'"%07d":0' % n for n in range(size // 12)) + b"}"


BODIES: dict[str, Callable[[], bytes]] = {
    "100-MiB": lambda: b"a" * 100 * MIB,
    "5-MiB-of-objects": lambda: PARENT % (b"", items(b"{}", 5 * MIB), b""),
    "largest-accepted": lambda: PARENT % (b"", items(b'"abcdefghijklmn"', 4 * MIB - 1000), b""),
    "nested-objects": lambda: PARENT % (b"", items(b'{"":' * 150 + b"0" + b"}" * 150, 500 * 1024), b""),
    "wrong-children": lambda: PARENT % (b"", b"{}", b',"children":{"x":%s}' % wrong_members(3 * MIB)),
    "wrong-annotations": lambda: PARENT % (b',"annotations":' + wrong_members(3 * MIB), b"{}", b""),
}


@pytest.fixture(scope="module")
def hook() -> Iterator[Port]:
    """One for all attacks: the memory that one leaves behind must not help the next."""
    with running_hook() as (port, _):
        yield port


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_hook_survives_the_body(hook: Port, body: Callable[[], bytes]) -> None:
    octets = body()
    for _ in range(2 * TIMES):
        hook.post(octets)
        hook.assert_alive()


@pytest.mark.parametrize(
    ("count", "octets"),
    [
        pytest.param(3, b"Content-Length: 100000000\r\n\r\n" + b"a" * (64 * MIB), id="3-large-bodies"),
        pytest.param(8, b"Content-Length: 4000000\r\n\r\n" + b"a" * 3_999_999, id="unfinished-bodies"),
        pytest.param(600, b"X: " + b"a" * (63 * 1024), id="half-heads"),
        pytest.param(150, (b"\r\nGET /openapi.json HTTP/1.1\r\nHost: h\r\n" * 500), id="slow-readers"),
    ],
)
def test_hook_survives_connections(hook: Port, count: int, octets: bytes) -> None:
    with hook.connections(count * TIMES, b"POST /sync HTTP/1.1\r\nHost: h\r\n" + octets):
        hook.assert_alive()
    hook.assert_alive()


def test_hook_ends_at_once_on_sigterm_while_bodies_are_incomplete() -> None:
    with (
        running_hook() as (port, process),
        port.connections(100, b"POST /sync HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{"),
    ):
        port.assert_alive()
        code, seconds = process.stop()
        assert code == 0
        assert seconds < 5  # of the 25 s between the end of preStop and SIGKILL
