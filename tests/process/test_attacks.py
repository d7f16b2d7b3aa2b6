"""Attacks on the ports of an adapter, with the memory limit of its pod.

Each attack reaches one limit and asserts what this limit does. During and after it, the probe of the kubelet is
answered, and a fifth of the memory is never used. The long form (``LONG=1``) has more connections, and waits until the
time limits close them.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.process.attacks import LONG, TIMES, Check, Port, at_most, some
from tests.process.cgroup import MIB, Group, memory_limit
from tests.process.harness import wait_until
from tests.process.webhook import SECRET, Webhook

LIMIT_MIB = 128
CONNECTIONS, HEALTH_CONNECTIONS = 512, 64
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
SMALL_HEAD = POST + b"X: " + b"a" * 7 * 1024  # small enough for the budget, so only their number is limited
LONG_HEAD = POST + b"X: " + b"a" * 63 * 1024
LONG_BODY = POST + b"Content-Length: %d\r\n\r\n" % MIB + b"a" * (MIB - 1)
PIPELINE = (b"POST / HTTP/1.1\r\nHost: h\r\nX: 123456\r\n\r\n" * 6700)[: 256 * 1024]
MANY_OBJECTS = b"".join(b"%03x:%02x\r\n" % (n, n) for n in range(240))
# Padded with a chunk extension, which costs nothing, so that few requests arrive at once.
METRICS = b"GET /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;" + b"a" * 4400 + b"\r\n\r\n"


def ports_of(hook: Webhook, group: Group) -> dict[str, Port]:
    """The port for callers and the one for the kubelet."""
    probe = f"http://127.0.0.1:{hook.health_port}/health"
    return {name: Port(getattr(hook, name), probe, group, LIMIT_MIB) for name in ("port", "health_port")}


@pytest.fixture(scope="module")
def webhook() -> Iterator[dict[str, Port]]:
    """One process for all attacks: the memory that one leaves behind must not help the next."""
    with memory_limit(LIMIT_MIB) as group:
        hook = Webhook(group.start, "http://127.0.0.1:9", secret="s", auth=SECRET)
        yield ports_of(hook, group)
        assert hook.process.stop()[0] == 0


@contextlib.contextmanager
def waiting_for_sink(answer_within: str) -> Iterator[Port]:
    """The port of a source without authentication, whose sink never answers."""
    with memory_limit(LIMIT_MIB) as group, socket.create_server(("127.0.0.1", 0)) as sink:
        url = f"http://127.0.0.1:{sink.getsockname()[1]}"
        hook = Webhook(group.start, url, maxInFlight=256, answerWithin=answer_within)
        yield ports_of(hook, group)["port"]


@pytest.mark.parametrize(
    ("attacked", "count", "octets", "limited"),
    [
        pytest.param("port", 8, PIPELINE, some(503), id="pipelines"),
        pytest.param("port", 2600, SMALL_HEAD, at_most(CONNECTIONS), id="half-heads"),
        pytest.param("port", 512, LONG_HEAD, some(503), id="long-half-heads"),
        pytest.param("port", 200, LONG_BODY, some(503), id="half-bodies"),
        pytest.param("port", 1, LONG_HEAD * 4, some(431), id="endless-head"),
        pytest.param("port", 1, POST + b"a:\r\n" * 1000, some(431), id="many-headers"),
        pytest.param("port", 1, LONG_BODY.replace(b"%d" % MIB, b"%d" % (MIB + 1)), some(413), id="large-body"),
        pytest.param("health_port", 1571, SMALL_HEAD, at_most(HEALTH_CONNECTIONS), id="half-heads-at-the-health-port"),
    ],
)
def test_adapter_survives(webhook: dict[str, Port], attacked: str, count: int, octets: bytes, limited: Check) -> None:
    port = webhook[attacked]
    with port.attack(count * TIMES, octets) as attack:
        port.assert_alive()
        assert port.post(b"", "/health") in (404, 405)  # so the server has accepted all connections before
        limited(attack)
        if LONG:
            wait_until(lambda: attack.open() == 0, "the time limit", attack.open)
    port.assert_alive()


def test_adapter_survives_clients_that_read_no_response(webhook: dict[str, Port]) -> None:
    """Without a limit, the responses would wait in memory: a few bytes ask for many kilobytes."""
    with webhook["health_port"].attack(2 * TIMES, METRICS * 16_000):
        webhook["health_port"].assert_alive()
    webhook["health_port"].assert_alive()


def test_caller_is_answered_while_others_keep_all_connections(webhook: dict[str, Port]) -> None:
    with webhook["port"].attack(2 * CONNECTIONS, POST + b"Content-Length: 9\r\n\r\na"):
        assert webhook["port"].post(b"", "/") == 401


def test_adapter_survives_many_headers_in_requests_that_wait() -> None:
    """A request of 3 KiB with 240 headers is 40 KiB of objects. The sink does not answer, so the requests wait."""
    request = POST + MANY_OBJECTS + b"Content-Length: 0\r\n\r\n"
    with waiting_for_sink("30s") as port, port.attack(180, request * 16):
        port.assert_alive()


def test_adapter_survives_structured_events_of_many_objects_beside_bodies_in_flight() -> None:
    """One event is parsed at a time, but the bodies in flight need their memory, too."""
    items = (b'{"":' * 150 + b"0" + b"}" * 150 + b",") * 1300
    event = b'{"specversion":"1.0","id":"1","source":"/a","type":"b","data":[%s0]}' % items
    head = POST + b"Content-Type: application/cloudevents+json\r\nContent-Length: %d\r\n\r\n" % len(event)
    plain = POST + b"Content-Length: %d\r\n\r\n" % (MIB - 1) + b"a" * (MIB - 1)
    with waiting_for_sink("2s") as port:
        with port.attack(20, plain), port.attack(4, head + event) as events:
            wait_until(lambda: len(events.statuses()) == 4, "responses", events.statuses)
        port.assert_alive()
