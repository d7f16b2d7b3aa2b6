"""Which connection a request uses, when it is sent a second time, and hosts that disappear without a packet."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapter.cloudevents.encode import Message
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.connection import BODY_LIMIT, Connection, NoResponse
from adapter.testing.clock import VirtualClock
from tests.deadline import DEADLINE_S
from tests.loopback import needs_ipv6
from tests.unit.adapter.delivery.loopback import (
    ACCEPTED,
    CLOSE,
    Answer,
    Loopback,
    connecting,
    hang,
    lose_no_packets,
    lose_packets,
    reset,
    then_close,
)
from tests.unit.adapter.later import run, skip

MESSAGE = Message({"ce-id": "1"}, b"data")
LARGE = Message({"ce-id": "1"}, b"x" * 8_000_000)


@contextlib.asynccontextmanager
async def channel(
    sink: Loopback, timeout_s: float = 20, connect_timeout_s: float = 10, **timeouts: float
) -> AsyncIterator[Channel]:
    limits = {"connect_timeout_s": connect_timeout_s, "timeouts": replace(TIMEOUTS, **timeouts)}
    made = Channel(Destination(sink.url), timeout_s, VirtualClock(), **limits)  # type: ignore[arg-type]
    async with sink.running(), contextlib.aclosing(made):
        yield made


def codes(sink: Loopback, posts: int, message: Message = MESSAGE, **limits: Any) -> list[str]:
    """The codes of attempts, one after the other."""

    async def test() -> list[str]:
        async with channel(sink, **limits) as made:
            return [(await made.post(message)).code for _ in range(posts)]

    return asyncio.run(test())


def test_connection_is_used_again() -> None:
    sink = Loopback()
    assert codes(sink, 3) == ["202"] * 3
    assert sink.connections == [3]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(ACCEPTED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), id="connection-close"),
        pytest.param(ACCEPTED.replace(b"1.1", b"1.0"), id="http-1.0"),
        pytest.param(then_close(ACCEPTED), id="closed-after-the-answer"),
        pytest.param(b"HTTP/1.1 202 X\r\nContent-Length: 99999\r\n\r\n" + b"x" * (BODY_LIMIT + 1), id="long-body"),
        pytest.param(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", id="upgrade"),
        pytest.param(ACCEPTED + ACCEPTED, id="two-answers"),
        pytest.param(ACCEPTED + b"x", id="more-octets"),
    ],
)
def test_connection_is_not_used_again_after(first: Answer) -> None:
    sink = Loopback(first, b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
    assert codes(sink, 2)[1] == "503"  # the answer to the second request, not octets of the first answer
    assert sink.connections == [1, 1]


def test_answer_that_arrives_before_its_request_is_not_used() -> None:
    late, closed = asyncio.Event(), asyncio.Event()

    async def two_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)
        await late.wait()
        writer.write(ACCEPTED)
        assert await reader.read() == b""
        closed.set()

    async def test() -> None:
        sink = Loopback(two_answers, b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        async with channel(sink) as made:
            assert (await made.post(MESSAGE)).code == "202"
            late.set()
            await closed.wait()
            assert (await made.post(MESSAGE)).code == "503"

    asyncio.run(test())


def test_connection_idle_for_longer_than_the_limit_is_not_used_again() -> None:
    sink = Loopback()
    assert codes(sink, 3, sink_idle_s=0) == ["202"] * 3
    assert sink.connections == [1, 1, 1]


def test_connection_older_than_the_limit_is_not_used_again() -> None:
    """The limit is 5 minutes ± 20 %."""
    sink = Loopback()

    async def test() -> list[str]:
        async with channel(sink, sink_idle_s=1000) as made:
            posted = [(await made.post(MESSAGE)).code]
            for seconds in (238, 123):  # then the connection is 238 s old, and 361 s
                skip(seconds)
                posted.append((await made.post(MESSAGE)).code)
            return posted

    assert run(test()) == ["202"] * 3
    assert sink.connections == [2, 1]


def test_connection_that_becomes_too_old_during_a_request_is_closed_after_the_response() -> None:
    closed = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        skip(361)
        writer.write(ACCEPTED)
        assert await reader.read() == b""
        closed.set()

    async def test() -> str:
        async with channel(Loopback(late), timeout_s=1000) as made:
            attempt = await made.post(MESSAGE)
            async with asyncio.timeout(DEADLINE_S):
                await closed.wait()
            return attempt.code

    assert run(test()) == "202"


def test_256_requests_in_flight_have_256_connections() -> None:
    together = asyncio.Event()

    async def test() -> None:
        async def wait_for_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if sum(sink.connections) == 256:
                together.set()
            await together.wait()
            writer.write(ACCEPTED)

        sink = Loopback(*[wait_for_all] * 256)
        async with channel(sink) as made:
            attempts = await asyncio.gather(*(made.post(MESSAGE) for _ in range(256)))
            assert {attempt.code for attempt in attempts} == {"202"}
            await made.post(MESSAGE)
            assert sorted(sink.connections) == [1] * 255 + [2]

    asyncio.run(test())


@needs_ipv6
def test_sink_with_only_an_ipv6_address_is_reached() -> None:
    sink = Loopback(host="::1")
    assert codes(sink, 1) == ["202"]
    assert b"\r\nHost: [::1]:%d\r\n" % sink.port in sink.requests[0]


class BothFamilies(asyncio.SelectorEventLoop):
    """Each name has an address of IPv6 and one of IPv4, in this order."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        ipv6, ipv4 = (
            await super().getaddrinfo("::1", port, **hints),
            await super().getaddrinfo("127.0.0.1", port, **hints),
        )
        return [*ipv6, *ipv4]


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_sink_whose_name_has_addresses_of_both_families_is_reached_on_the_one_it_serves(host: str) -> None:
    sink = Loopback(host=host)

    async def test() -> str:
        async with sink.running():
            url = f"http://sink.example:{sink.port}/"
            made = Channel(Destination(url), 20, VirtualClock(), connect_timeout_s=10)
            async with contextlib.aclosing(made):
                return (await made.post(MESSAGE)).code

    with asyncio.Runner(loop_factory=BothFamilies) as runner:
        assert runner.run(test()) == "202"
    assert b"\r\nHost: sink.example:%d\r\n" % sink.port in sink.requests[0]


def test_large_request_arrives_whole() -> None:
    sink = Loopback()
    assert codes(sink, 1, LARGE) == ["202"]
    assert sink.requests[0].endswith(b"\r\n\r\n" + LARGE.body)


@pytest.mark.parametrize("end", [CLOSE, reset], ids=["closed", "reset"])
def test_kept_connection_that_the_sink_closes_costs_no_attempt(end: Answer) -> None:
    sink = Loopback(ACCEPTED, end)
    assert codes(sink, 2) == ["202", "202"]
    assert sink.connections == [2, 1]
    assert sink.requests[1] == sink.requests[2]


def test_new_connection_that_the_sink_closes_is_a_failed_attempt() -> None:
    sink = Loopback(CLOSE)
    assert codes(sink, 1) == ["transport"]
    assert sink.connections == [1]


def test_request_is_sent_only_once_more_within_an_attempt() -> None:
    sink = Loopback(ACCEPTED, CLOSE, CLOSE)
    assert codes(sink, 2) == ["202", "transport"]
    assert sink.connections == [2, 1]


def test_request_whose_answer_has_begun_is_not_sent_again() -> None:
    sink = Loopback(ACCEPTED, then_close(b"HTTP/1.1 2"))
    assert codes(sink, 2) == ["202", "transport"]
    assert sink.connections == [2]


def test_other_kept_connections_are_not_used_after_the_sink_closed_one() -> None:
    """A restarted sink has lost them all, and one request is sent again only once."""
    together = asyncio.Event()

    async def test() -> None:
        async def wait_for_both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if sink.connections == [1, 1]:
                together.set()
            await together.wait()
            writer.write(ACCEPTED)

        sink = Loopback(wait_for_both, wait_for_both, CLOSE, ACCEPTED)
        async with channel(sink) as made:
            await asyncio.gather(made.post(MESSAGE), made.post(MESSAGE))
            assert (await made.post(MESSAGE)).code == "202"
            assert sorted(sink.connections) == [1, 1, 2]

    asyncio.run(test())


def test_second_socket_is_opened_at_once_when_the_first_has_no_answer() -> None:
    """A SYN to a pod that is gone is never answered, and its retransmissions go to the same pod."""

    async def test() -> None:
        sink = Loopback()
        lose_packets(sink.socket)
        async with channel(sink, connect_timeout_s=0.3) as made:
            attempt = asyncio.create_task(made.post(MESSAGE))
            while not (first := connecting(sink.port)):  # noqa: ASYNC110 -- the kernel has no event for it
                await asyncio.sleep(0)
            lose_no_packets(sink.socket)  # before the second SYN; the first is sent again after one second
            assert (await attempt).code == "202"
            assert first.isdisjoint(sink.peers)

    asyncio.run(test())


def test_sink_that_accepts_no_connection_is_a_timeout() -> None:
    async def test() -> Attempt:
        sink = Loopback()
        lose_packets(sink.socket)
        async with channel(sink, connect_timeout_s=0.05) as made:
            return await made.post(MESSAGE)

    attempt = asyncio.run(test())
    assert (attempt.code, attempt.reason) == ("timeout", "no connection within 0.05 s")


def test_timeout_of_the_attempt_limits_both_connections() -> None:
    async def test() -> Attempt:
        sink = Loopback()
        lose_packets(sink.socket)
        async with channel(sink, timeout_s=0.05, connect_timeout_s=600) as made:
            return await made.post(MESSAGE)

    assert asyncio.run(test()).reason == "no answer within 0.05 s"


def test_connect_timeout_does_not_limit_a_slow_function() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(ACCEPTED)

    assert codes(Loopback(slow), 1, connect_timeout_s=0.1, unacknowledged_s=0.1) == ["202"]


def test_host_that_vanished_behind_a_kept_connection_costs_no_attempt() -> None:
    """No packet says that the host is gone. The kernel notices that it acknowledges nothing."""

    async def vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)
        await writer.drain()
        lose_packets(writer.get_extra_info("socket"))

    async def test() -> None:
        sink = Loopback(vanish)
        async with channel(sink, unacknowledged_s=0.3) as made:
            assert [(await made.post(MESSAGE)).code for _ in range(2)] == ["202", "202"]
            assert sink.connections == [1, 1]

    asyncio.run(test())


def test_large_request_may_be_read_slowly() -> None:
    """The buffers of the host are full until its program reads, so it acknowledges nothing."""
    released = asyncio.Event()

    async def pause(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)
        await released.wait()

    async def test() -> None:
        sink = Loopback(pause)
        async with channel(sink, unacknowledged_s=0.1) as made:
            assert (await made.post(MESSAGE)).code == "202"
            attempt = asyncio.create_task(made.post(LARGE))
            assert await asyncio.wait([attempt], timeout=1) == (set(), {attempt})
            released.set()
            assert (await attempt).code == "202"
            assert sink.connections == [2]

    asyncio.run(test())


def test_connection_that_ends_before_its_first_request_has_not_processed_it() -> None:
    async def test() -> None:
        own, other = socket.socketpair()
        transport, connection = await asyncio.get_running_loop().create_connection(Connection, sock=own)
        other.close()
        while not transport.is_closing():  # noqa: ASYNC110 -- the protocol has no request that could report it
            await asyncio.sleep(0)
        with pytest.raises(NoResponse) as caught:
            await connection.exchange(b"POST", asyncio.get_running_loop().time() + 20, TIMEOUTS)
        assert (caught.value.reason, caught.value.unprocessed) == ("no response: connection closed by the sink", True)

    asyncio.run(test())


def test_hanging_sink_does_not_keep_the_channel_open() -> None:
    assert codes(Loopback(hang), 1, timeout_s=0.01) == ["timeout"]
