"""Time limits, order and end of connections, on real sockets of one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace

import pytest

from adapter.serving.messages import Refusal, Request, Response
from adapter.serving.server import listen
from tests.unit.adapter.serving.served import LIMITS, REQUEST, RESPONSE, Slow, connect, run, serving


@pytest.mark.parametrize("before", [0, 1, 3], ids=["first", "second", "fourth"])
def test_each_request_head_has_its_own_time_limit(before: int) -> None:
    async def test() -> None:
        async with serving(limits=replace(LIMITS, head_s=0.2)) as (_, (reader, writer)):
            for _ in range(before):
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            ended = asyncio.create_task(reader.read())
            for octet in REQUEST * 100:
                writer.write(bytes([octet]))
                if (await asyncio.wait({ended}, timeout=0.02))[0]:
                    break
            with contextlib.suppress(ConnectionResetError):  # the client was still sending
                assert await ended == b""

    run(test)


def test_connection_stays_open_between_requests_for_longer_than_a_head_may_take() -> None:
    async def test() -> None:
        async with serving(limits=replace(LIMITS, head_s=0.05)) as (_, (reader, writer)):
            for _ in range(2):
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.2)  # four times the limit of a head

    run(test)


def test_connection_without_a_further_request_is_closed() -> None:
    async def test() -> bytes:
        async with serving(limits=replace(LIMITS, keep_alive_s=0.05)) as (_, (reader, writer)):
            writer.write(REQUEST)
            return await reader.read()

    assert run(test) == RESPONSE


def test_each_request_starts_the_time_limit_for_the_next_one_again() -> None:
    async def test() -> None:
        async with serving(limits=replace(LIMITS, keep_alive_s=0.3)) as (_, (reader, writer)):
            for _ in range(4):
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.15)  # together more than the limit
            assert await reader.read() == b""

    run(test)


def test_one_timer_limits_the_time_of_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> int:
        async with serving() as (_, (reader, writer)):
            loop, started = asyncio.get_running_loop(), []
            call_at = loop.call_at
            monkeypatch.setattr(
                loop, "call_at", lambda when, *args, **more: started.append(when) or call_at(when, *args, **more)
            )
            for _ in range(20):
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            return len(started)

    assert run(test) <= 1


def test_slow_body_is_408() -> None:
    async def test() -> bytes:
        async with serving(limits=replace(LIMITS, body_s=0.05)) as (_, (reader, writer)):
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na")
            return await reader.read()

    assert run(test).startswith(b"HTTP/1.1 408 ")


def test_time_limits_of_a_client_do_not_include_the_time_of_the_handler() -> None:
    """Neither a silent client nor one that has sent further requests loses the response to a slow one."""

    async def test(sent: bytes) -> bytes:
        slow = Slow("/")
        async with serving(slow, replace(LIMITS, head_s=0.02, body_s=0.02, keep_alive_s=0.05)) as (_, (reader, writer)):
            writer.write(REQUEST + sent)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
            slow.release.set()
            return await reader.read()

    assert run(lambda: test(b"")) == RESPONSE
    assert run(lambda: test(REQUEST + REQUEST)) == RESPONSE * 3
    closing = RESPONSE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert run(lambda: test(REQUEST[:10])) == closing


def test_time_limit_of_a_request_does_not_include_the_time_in_which_the_server_reads_nothing() -> None:
    """The server does not read while two requests wait, so the rest of the third request cannot arrive."""

    async def test() -> bytes:
        slow = Slow("/")
        async with serving(slow, replace(LIMITS, head_s=0.5, keep_alive_s=0.5)) as (_, (reader, writer)):
            writer.write(REQUEST + REQUEST + REQUEST[:10])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 1)
            slow.release.set()
            writer.write(REQUEST[10:])
            return await reader.read()

    assert run(test) == RESPONSE * 3


def test_each_head_has_its_own_time_limit_if_its_beginning_comes_with_the_request_before() -> None:
    async def test() -> None:
        async with serving(limits=replace(LIMITS, head_s=0.5)) as (_, (reader, writer)):
            writer.write(REQUEST[:10])
            for _ in range(20):
                writer.write(REQUEST[10:] + REQUEST[:10])
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
                await asyncio.sleep(0.05)

    run(test)


def test_handler_can_close_the_connection_with_its_response() -> None:
    async def refuse(request: Request) -> Response:
        return Refusal(401, "no", Connection="close").response()

    async def test() -> bytes:
        async with serving(refuse) as (_, (reader, writer)):
            writer.write(REQUEST + REQUEST)
            return await reader.read()

    response = run(test)
    assert response.endswith(b"\r\nConnection: close\r\n\r\nno\n")
    assert response.count(b"HTTP/1.1") == 1


def test_refusal_comes_after_the_responses_to_earlier_requests() -> None:
    async def test() -> bytes:
        slow = Slow("/")
        async with serving(slow) as (_, (reader, writer)):
            writer.write(REQUEST + REQUEST + b"nonsense\r\n\r\n")
            await slow.began.wait()
            slow.release.set()
            return await reader.read()

    assert run(test).startswith(RESPONSE * 2 + b"HTTP/1.1 400 Bad Request\r\n")


def test_100_continue_comes_after_the_response_to_an_earlier_request() -> None:
    async def test() -> None:
        slow = Slow("/")
        async with serving(slow) as (_, (reader, writer)):
            writer.write(REQUEST + b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
            await slow.began.wait()
            slow.release.set()
            assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"a")
            assert await reader.readexactly(len(RESPONSE)) == RESPONSE

    run(test)


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"POST / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 10_000, id="heads"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + b"a" * 10_000, id="bodies"),
    ],
)
def test_total_size_of_incomplete_requests_is_limited(beginning: bytes) -> None:
    async def test() -> None:
        async with serving(limits=replace(LIMITS, total_size=38_000)) as (server, (reader, writer)):
            held = [await connect(server) for _ in range(3)]
            for _, each in held:
                each.write(beginning)
            writer.write(beginning)
            ends = [asyncio.create_task(each.read()) for each in (reader, *(one for one, _ in held))]
            (refused,), _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            assert refused.result().startswith(b"HTTP/1.1 503 ")
            for _, each in held:
                each.close()
            await asyncio.wait(ends[1:])
            another, writer = await connect(server)
            writer.write(beginning[:50])
            with pytest.raises(TimeoutError):  # it is not refused: there is room again
                await asyncio.wait_for(another.read(), 0.05)
            writer.close()

    run(test)


def test_client_that_sends_no_more_gets_its_response() -> None:
    async def test() -> bytes:
        slow = Slow("/")
        async with serving(slow) as (_, (reader, writer)):
            writer.write(REQUEST)
            writer.write_eof()
            await slow.began.wait()
            slow.release.set()
            return await reader.read()

    assert run(test).endswith(b"\r\nConnection: close\r\n\r\n/")


def test_client_that_reads_no_response_is_disconnected() -> None:
    async def test() -> None:
        began = asyncio.Event()

        async def large(request: Request) -> Response:
            began.set()
            return Response(200, b"a" * 16 * 1024 * 1024)

        server = await listen(large, 0, replace(LIMITS, keep_alive_s=0.1))
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(REQUEST)
            await began.wait()
            await server.drain()
        await server.close()

    run(test)


def test_client_that_sends_requests_without_reading_the_responses_is_disconnected() -> None:
    async def test() -> None:
        handled = asyncio.Event()

        async def respond(request: Request) -> Response:
            handled.set()
            return Response(200, b"a" * 10_000)

        async def send(count: int, client: socket.socket) -> None:
            for _ in range(count):
                await asyncio.get_running_loop().sock_sendall(client, REQUEST)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(handled.wait(), 0.2)
                handled.clear()

        server = await listen(respond, 0, replace(LIMITS, keep_alive_s=0.1))
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setblocking(False)
            with pytest.raises(ConnectionError):
                await send(5000, client)  # 50 MB of responses do not fit into the buffers of the kernel
        await server.close()

    run(test)
