"""Unusual answers of sinks. None acknowledges another event, and an accepted event is not sent again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapter.cloudevents.encode import Message
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.connection import Connection, NoResponse, Response
from adapter.testing.clock import VirtualClock
from tests.unit.adapter.delivery.loopback import ACCEPTED, Answer, Loopback, hang, tls_sink

MESSAGE = Message({"ce-id": "1"}, b"data")
UNAVAILABLE = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
WITHOUT_LIMIT = replace(TIMEOUTS, unacknowledged_s=0)  # only TCP has it


def posts(sink: Loopback, *messages: Message, **to: Any) -> list[Attempt]:
    """Attempts, one after the other."""

    async def test() -> list[Attempt]:
        made = Channel(Destination(sink.url, **to), 2, VirtualClock())
        async with sink.running(), contextlib.aclosing(made):
            return [await made.post(message) for message in messages]

    return asyncio.run(test())


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, socket.socket]]:
    """A connection, and the other end of it."""
    own, other = socket.socketpair()
    with other:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, sock=own)
        try:
            yield connection, other
        finally:
            connection.close()


async def exchange(connection: Connection, request: bytes = b"POST", within_s: float = 20) -> Response:
    return await connection.exchange(request, asyncio.get_running_loop().time() + within_s, WITHOUT_LIMIT)


def test_answer_that_the_kernel_received_before_the_request_is_not_used() -> None:
    descriptors = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        descriptors.append(writer.get_extra_info("socket").fileno())
        writer.write(ACCEPTED)

    async def test() -> None:
        sink = Loopback(answer, UNAVAILABLE)
        made = Channel(Destination(sink.url), 20, VirtualClock())
        async with sink.running(), contextlib.aclosing(made):
            assert (await made.post(MESSAGE)).code == "202"
            os.write(descriptors[0], ACCEPTED)  # the event loop has no turn to read it before the next request
            assert (await made.post(MESSAGE)).code == "503"
            assert sink.connections == [1, 1]

    asyncio.run(test())


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_connection_is_not_used_again_if_the_answer_came_before_the_whole_request(tls: bool) -> None:
    async def too_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
        await hang(reader, writer)

    sink, authority = tls_sink(too_large) if tls else (Loopback(too_large), None)
    sink.reads_bodies = False
    attempts = posts(sink, Message({}, b"x" * 16_000_000), MESSAGE, ca_certs=authority)
    assert [attempt.code for attempt in attempts] == ["413", "202"]
    assert sink.connections == [1, 1]


BOTH_LENGTHS = b"HTTP/1.1 202 X\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ACCEPTED.replace(b"\r\n\r\n", b"\r\nX: a\r\n b\r\n\r\n"), id="folded-header"),
        pytest.param(ACCEPTED.replace(b"\r\n\r\n", b"\r\nX: \x01\x7f\xff\r\n\r\n"), id="control-characters"),
        pytest.param(b"HTTP/1.1 100 X\r\nConnection: close\r\n\r\n" + ACCEPTED, id="interim-close"),
        pytest.param(b"HTTP/1.0 100 X\r\n\r\n" + ACCEPTED, id="interim-1.0"),
        pytest.param(b"HTTP/1.1 102 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + ACCEPTED, id="interim-upgrade"),
        pytest.param(ACCEPTED.replace(b"202 Accepted", b"202"), id="no-reason"),
        pytest.param(BOTH_LENGTHS, id="two-lengths"),
    ],
)
def test_unusual_answer_acknowledges_the_event(answer: Answer) -> None:
    assert [attempt.code for attempt in posts(Loopback(answer), MESSAGE, MESSAGE)] == ["202", "202"]


def test_connection_is_not_used_again_after_a_response_with_two_lengths() -> None:
    sink = Loopback(BOTH_LENGTHS)
    posts(sink, MESSAGE, MESSAGE)
    assert sink.connections == [1, 1]


def test_switch_to_a_protocol_that_was_not_asked_for_is_retried() -> None:
    sink = Loopback(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    (attempt,) = posts(sink, MESSAGE)
    assert (attempt.disposition.value, attempt.code) == ("retry", "transport")


def test_answer_is_the_same_wherever_it_is_split() -> None:
    octets = (
        b"HTTP/1.1 103 Early Hints\r\nRetry-After: 8\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\nRetry-After: 9\r\nTrailer: Retry-After\r\n\r\n"
        b'2;name="x"\r\nno\r\n3\r\n\r\n.\r\n0\r\nRetry-After: 7\r\n\r\n'
    )

    async def test() -> None:
        async with connected() as (connection, _):
            for split in range(len(octets)):
                answer = asyncio.create_task(exchange(connection))
                await asyncio.sleep(0)  # it is sent
                for part in (octets[:split], octets[split:]):
                    connection.data_received(part)
                assert await answer == Response(503, "9", b"no\r\n.")
                assert connection.is_reusable

    asyncio.run(test())


def test_connection_that_ended_before_the_request_logs_nothing() -> None:
    async def test() -> list[dict[str, Any]]:
        logged: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: logged.append(context))
        async with connected() as (connection, _):
            connection.close()
            with pytest.raises(NoResponse, match="no response: connection closed by the sink"):
                await exchange(connection)
            await asyncio.sleep(0)  # the transport reports its end
            del connection
        gc.collect()
        return logged

    assert asyncio.run(test()) == []


class TwoAddresses(asyncio.SelectorEventLoop):
    """Each name has these addresses."""

    addresses = ("127.0.0.2", "127.0.0.1")

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in self.addresses]


def test_next_address_of_a_name_is_tried_when_one_refuses() -> None:
    async def test() -> Attempt:
        sink = Loopback()
        async with sink.running():
            made = Channel(Destination(f"http://sink:{sink.port}/"), 2, VirtualClock())
            async with contextlib.aclosing(made):
                return await made.post(MESSAGE)

    with asyncio.Runner(loop_factory=TwoAddresses) as runner:
        assert runner.run(test()).code == "202"


def test_error_that_all_addresses_of_a_name_have_is_the_reason() -> None:
    made = Channel(Destination("http://sink:9/"), 2, VirtualClock())
    with asyncio.Runner(loop_factory=TwoAddresses) as runner:
        assert runner.run(made.post(MESSAGE)).reason == "no connection: connection refused"


def test_sink_that_closes_during_the_tls_handshake_is_named_as_the_cause() -> None:
    """As one does that takes no TLS 1.2, or requires a certificate of the client."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def test() -> Attempt:
        async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            return await Channel(Destination(url), 2, VirtualClock()).post(MESSAGE)

    attempt = asyncio.run(test())
    assert (attempt.code, attempt.reason) == ("transport", "TLS handshake failed: connection closed by the sink")


def test_answer_that_arrives_while_a_busy_adapter_misses_the_deadline_is_used() -> None:
    """Otherwise an event that the sink has accepted would be sent again."""

    async def test() -> Response:
        async with connected() as (connection, _):
            response = asyncio.create_task(exchange(connection, within_s=0))
            await asyncio.sleep(0)  # the request is sent, and the deadline has passed
            connection.data_received(ACCEPTED)
            return await response

    assert asyncio.run(test()).status == 202


@pytest.mark.parametrize("answer", [ACCEPTED, b""], ids=["accepted", "timeout"])
def test_closed_connection_is_freed_at_once(answer: bytes) -> None:
    """Without the garbage collector, which runs rarely: a sink may close each connection after one event."""

    async def test() -> Connection | None:
        async with connected() as (connection, other):
            other.send(answer)
            with contextlib.suppress(TimeoutError):
                await exchange(connection, within_s=20 if answer else 0)
            freed = weakref.ref(connection)
            del connection
        await asyncio.sleep(0)  # the transport reports its end
        return freed()

    gc.disable()
    try:
        assert asyncio.run(test()) is None
    finally:
        gc.enable()
