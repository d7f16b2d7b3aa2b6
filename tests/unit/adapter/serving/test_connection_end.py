"""The end of connections: errors of handlers, draining, closing, and what is freed."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging

import pytest

from adapter.serving.connection import Connection
from adapter.serving.messages import Request, Response
from adapter.serving.wire import RequestReader
from tests.unit.adapter.later import run as later
from tests.unit.adapter.later import skip
from tests.unit.adapter.serving.served import LIMITS, REQUEST, RESPONSE, Slow, connect, run, serving


def test_error_of_a_handler_is_500_and_its_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Request) -> Response:
        raise ValueError("hush")

    async def test() -> bytes:
        async with serving(fail) as (_, (reader, writer)):
            writer.write(REQUEST)
            return await reader.readuntil(b"the log\n")

    with caplog.at_level(logging.ERROR, "adapter"):
        assert run(test).startswith(b"HTTP/1.1 500 ")
    (record,) = caplog.records
    assert record.fields["error"] == "ValueError"  # type: ignore[attr-defined]
    assert record.fields["at"].startswith("test_connection_end.py:")  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, SystemExit, KeyboardInterrupt])
def test_exception_of_a_handler_that_would_end_its_task_without_an_error_is_500(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Request) -> Response:
        if request.path == "/":
            raise error
        return Response(200, b"ok")

    async def test() -> bytes:
        async with serving(fail) as (_, (reader, writer)):
            writer.write(REQUEST)
            response = await reader.readuntil(b"the log\n")
            writer.write(REQUEST.replace(b"/ ", b"/next "))
            await reader.readuntil(b"ok")
            return response

    with caplog.at_level(logging.ERROR, "adapter"):
        assert run(test).startswith(b"HTTP/1.1 500 ")
    assert [record.fields["error"] for record in caplog.records] == [error.__name__]  # type: ignore[attr-defined]


def test_draining_closes_each_connection_with_its_next_response() -> None:
    async def test() -> None:
        async with serving() as (server, (reader, writer)):
            writer.write(REQUEST)
            assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            drained = asyncio.create_task(server.drain())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(drained), 0.05)
            writer.write(REQUEST)
            assert (await reader.read()).endswith(b"\r\nConnection: close\r\n\r\n/")
            await drained

    run(test)


OLD = dataclasses.replace(LIMITS, keep_alive_s=10_000, new_age_s=lambda: 300)


def test_first_response_after_the_maximum_age_closes_the_connection() -> None:
    async def test() -> None:
        async with serving(limits=OLD) as (_, (reader, writer)):
            for seconds in (0, 299):
                skip(seconds)
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            skip(2)
            writer.write(REQUEST)
            assert (await reader.read()).endswith(b"\r\nConnection: close\r\n\r\n/")

    later(test())


def test_old_connection_handles_the_requests_that_were_sent_before_it_is_closed() -> None:
    async def test() -> None:
        async with serving(limits=OLD) as (_, (reader, writer)):
            skip(301)
            writer.write(REQUEST * 3)
            responses = await reader.read()
            assert responses.startswith(RESPONSE * 2)
            assert responses.count(b"HTTP/1.1 202 ") == 3
            assert responses.count(b"Connection: close") == 1

    later(test())


def test_close_waits_for_the_responses_of_running_handlers_only() -> None:
    async def test() -> None:
        slow = Slow("/")
        async with serving(slow) as (server, (reader, writer)):
            idle, other = await connect(server)
            writer.write(REQUEST + REQUEST)
            await slow.began.wait()
            closed = asyncio.create_task(server.close(10))
            assert await idle.read() == b""
            slow.release.set()
            assert (await reader.read()).count(b"HTTP/1.1 202 ") == 1
            await closed
            other.close()

    run(test)


def test_close_drops_a_response_that_takes_too_long() -> None:
    async def test() -> bytes:
        slow = Slow("/")
        async with serving(slow) as (server, (reader, writer)):
            writer.write(REQUEST)
            await slow.began.wait()
            await server.close(0.01)
            return await reader.read()

    assert run(test) == b""


def test_closed_connection_is_freed_at_once() -> None:
    """A cycle would wait for the garbage collector, with the bytes that the parser holds."""

    def count() -> int:
        return sum(isinstance(each, Connection | RequestReader) for each in gc.get_objects())

    async def test() -> None:
        async with serving() as (server, (reader, writer)):
            writer.write(REQUEST + REQUEST[:10])
            await reader.readexactly(len(RESPONSE))
            gc.collect()
            gc.disable()
            try:
                writer.close()
                await server.drain()
                await asyncio.sleep(0)
                assert count() == 0
            finally:
                gc.enable()

    run(test)
