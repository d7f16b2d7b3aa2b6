"""The local Service of a source that listens: its port, and where it forwards connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import pytest

from adapter.serving.sockets import listening_socket
from sources_cli.local.service import LocalService, ServicePorts
from sources_cli.problem import Problem
from tests.deadline import DEADLINE_S
from tests.loopback import ADDRESSES, needs_ipv6
from tests.process.harness import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def replica(name: bytes) -> asyncio.Server:
    """A server that answers each line with its name, and the end of the input with ``name bye``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(name + b"\n")
        writer.write(name + b" bye\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def within_deadline(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test()

    asyncio.run(bounded())


async def ask(streams: Streams) -> bytes:
    streams[1].write(b"?\n")
    return await streams[0].readline()


def test_new_connection_goes_to_the_ready_replica_and_an_open_one_stays() -> None:
    async def test() -> None:
        old, new = await replica(b"old"), await replica(b"new")
        ready: int | None = port_of(old)
        service = LocalService(ServicePorts(None, print).bind("a"), lambda: ready)
        await service.start()
        first = await asyncio.open_connection("127.0.0.1", service.port)
        assert await ask(first) == b"old\n"
        ready = port_of(new)
        second = await asyncio.open_connection("127.0.0.1", service.port)
        assert [await ask(first), await ask(second)] == [b"old\n", b"new\n"]
        second[1].write_eof()  # a caller may end its input before it has read the answer
        assert await second[0].read() == b"new bye\n"
        ready = None
        third = await asyncio.open_connection("127.0.0.1", service.port)
        assert await third[0].read() == b""
        service.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", service.port)
        for _, writer in (first, second, third):
            writer.close()
            await writer.wait_closed()
        old.close()
        new.close()

    within_deadline(test)


@contextlib.contextmanager
def port_for(name: str, ports: ServicePorts) -> Iterator[int]:
    """The port that ``name`` gets, on all addresses of this machine. They are closed at the end."""
    with contextlib.ExitStack() as stack:
        bound = [stack.enter_context(each) for each in ports.bind(name)]
        (port,) = {each.getsockname()[1] for each in bound}
        yield port


def test_ports_count_up_and_a_port_in_use_is_skipped_with_a_message() -> None:
    messages: list[str] = []
    ports = ServicePorts(None, messages.append)
    with port_for("a", ports) as a:
        messages.clear()  # 8888 may be in use on this machine
        with port_for("b", ServicePorts(None, messages.append)) as b:
            assert b > a
            assert messages == [f"port 8888 is in use; b gets port {b}"]
        with port_for("c", ports) as c:
            assert c > a


def test_only_the_port_that_the_user_chose_must_be_free() -> None:
    messages: list[str] = []
    port = free_port()
    ports = ServicePorts(port, messages.append)
    with port_for("a", ports) as a:
        assert a == port
        with pytest.raises(Problem, match=f"port {port} is in use; choose another one with --listen-port"):
            ServicePorts(port, messages.append).bind("b")
        with port_for("b", ports) as b:
            assert b > port


@needs_ipv6
def test_port_that_is_in_use_on_one_address_is_in_use() -> None:
    port = free_port()
    with listening_socket("::1", port), pytest.raises(Problem, match=f"port {port} is in use"):
        ServicePorts(port, print).bind("a")
    with port_for("a", ServicePorts(port, print)) as bound:  # the socket of 127.0.0.1 was closed
        assert bound == port


@pytest.mark.parametrize("host", ADDRESSES)
def test_service_forwards_connections_to_each_address_of_this_machine(host: str) -> None:
    async def test() -> None:
        server = await replica(b"a")
        service = LocalService(ServicePorts(free_port(), print).bind("a"), lambda: port_of(server))
        await service.start()
        streams = await asyncio.open_connection(host, service.port)
        assert await ask(streams) == b"a\n"
        streams[1].write_eof()
        assert await streams[0].read() == b"a bye\n"
        streams[1].close()
        await streams[1].wait_closed()
        service.close()
        server.close()

    within_deadline(test)
