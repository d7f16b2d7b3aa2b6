"""Attacks on the port of the hook, with the memory limit of its pod; see ``test_attacks``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.process.attacks import LONG, TIMES, Check, Port, at_most, some
from tests.process.cgroup import MIB, memory_limit
from tests.process.harness import Process, free_port, listens, wait_until

LIMIT_MIB, CONNECTIONS = 192, 128
POST = b"POST /sync HTTP/1.1\r\nHost: h\r\n"
CHUNK = b"%x\r\n" % MIB + b"a" * MIB + b"\r\n"
# Padded with a chunk extension, which costs nothing, so that few requests arrive at once.
OPENAPI = b"GET /openapi.json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0;" + b"a" * 4400 + b"\r\n\r\n"
PARENT = (
    b'{"parent":{"apiVersion":"a/v1","kind":"A","metadata":{"name":"a","namespace":"b","uid":"c"%s},"spec":{"x":%s}}%s}'
)
NESTED = b'{"":' * 150 + b"0" + b"}" * 150


@contextlib.contextmanager
def running_hook() -> Iterator[tuple[Port, Process]]:
    with memory_limit(LIMIT_MIB) as group:
        number, health = free_port(), free_port()
        own = {"ADAPTER_IMAGE": "a:1", "HOST": "127.0.0.1", "PORT": str(number), "HEALTH_PORT": str(health)}
        process = group.start("hooks", **own)
        wait_until(lambda: listens(number), "the hook", lambda: process.errors)
        yield Port(number, f"http://127.0.0.1:{health}/healthz", group, LIMIT_MIB), process
        if process.child.poll() is None:
            assert process.stop()[0] == 0


@pytest.fixture(scope="module")
def hook() -> Iterator[Port]:
    """One process for all attacks: the memory that one leaves behind must not help the next."""
    with running_hook() as (port, _):
        yield port


def items(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def wrong_members(size: int) -> bytes:
    return b"{" + b",".join(b'"%07d":0' % n for n in range(size // 12)) + b"}"


BODIES: dict[str, tuple[int, Callable[[], bytes]]] = {
    "100-MiB": (413, lambda: b"a" * 100 * MIB),
    "5-MiB": (413, lambda: PARENT % (b"", items(b"{}", 5 * MIB), b"")),
    "3-MiB-of-objects": (413, lambda: PARENT % (b"", items(b"{}", 3 * MIB), b"")),
    "3-MiB-of-nested-objects": (413, lambda: PARENT % (b"", items(NESTED, 3 * MIB), b"")),
    "largest-accepted": (200, lambda: PARENT % (b"", items(b'"abcdefghijklmn"', 4 * MIB - 1000), b"")),
    "largest-whose-objects-are-not-counted": (200, lambda: PARENT % (b"", items(NESTED, 500 * 1024), b"")),
    "wrong-children": (400, lambda: PARENT % (b"", b"{}", b',"children":{"x":%s}' % wrong_members(3 * MIB))),
    "wrong-annotations": (400, lambda: PARENT % (b',"annotations":' + wrong_members(3 * MIB), b"{}", b"")),
}


@pytest.mark.parametrize(("status", "body"), BODIES.values(), ids=BODIES)
def test_hook_survives_the_body(hook: Port, status: int, body: Callable[[], bytes]) -> None:
    octets = body()
    for _ in range(2 * TIMES):
        assert hook.post(octets) == status
        hook.assert_alive()


@pytest.mark.parametrize(
    ("count", "octets", "limited"),
    [
        pytest.param(1, b"Content-Length: 100000000\r\n\r\na", some(413), id="large-body-announced"),
        pytest.param(1, b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 5, some(413), id="large-body-in-chunks"),
        pytest.param(60, b"Content-Length: 4000000\r\n\r\n" + b"a" * 3_999_999, some(503), id="half-bodies"),
        pytest.param(600, b"X: " + b"a" * 7 * 1024, at_most(CONNECTIONS), id="half-heads"),
        pytest.param(600, b"Content-Length: 9\r\n\r\na", at_most(CONNECTIONS), id="small-half-bodies"),
    ],
)
def test_hook_survives_connections(hook: Port, count: int, octets: bytes, limited: Check) -> None:
    with hook.attack(count * TIMES, POST + octets) as attack:
        hook.assert_alive()
        limited(attack)
        if LONG:
            wait_until(lambda: attack.open() == 0, "the time limit", attack.open)
    hook.assert_alive()


def test_hook_survives_clients_that_read_no_response(hook: Port) -> None:
    with hook.attack(2 * TIMES, OPENAPI * 16_000):
        hook.assert_alive()
    hook.assert_alive()


@pytest.mark.parametrize(("size", "count"), [(16_000, 300), (60_000, 150)])
def test_hook_survives_many_long_queries(hook: Port, size: int, count: int) -> None:
    """Each asks for other options. A list of short event types takes 20 times as many bytes as the query string.

    The options of the longest queries together take more memory than the hook may have.
    """
    body = PARENT % (b"", b"{}", b"")
    for n in range(300 if LONG else count):
        assert hook.post(body, f"/sync?types={n:03d}{',ab' * (size // 3)}") == 200
    assert hook.post(BODIES["largest-accepted"][1]()) == 200
    hook.assert_alive()


def test_hook_ends_at_once_on_sigterm_while_bodies_are_incomplete() -> None:
    with running_hook() as (port, process), port.attack(100, POST + b"Content-Length: 9\r\n\r\n{"):
        port.assert_alive()
        code, _, asleep_s = process.stop()
        assert code == 0
        assert asleep_s < 5  # of the 25 s between the end of preStop and SIGKILL
