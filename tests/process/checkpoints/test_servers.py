"""Checkpoints in real PostgreSQL and Redis: what both have in common."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from adapter.checkpoints.store import Record, Store, StoreError
from adapter.checkpoints.urls import open_store
from adapter.contract.egress import Egress
from tests.deadline import DEADLINE_S
from tests.process.checkpoints.opened import failure, listening, new_key, opened
from tests.process.harness import wait_until
from tests.process.kinds.servers import Postgres, RedisServer
from tests.property.checkpoint_machine import CheckpointMachine

Servers = Postgres | RedisServer
LARGEST = {"seen": ["0123456789abcdef" * 8] * 1000}  # 132 KB


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


@pytest.mark.parametrize("value", [None, "\ud800\u0000é", {"a": [1.5, 10**30, True]}, LARGEST])
def test_saved_record_is_loaded_by_another_process(server: Servers, value: Any) -> None:
    async def test() -> None:
        key = new_key()
        async with opened(server.url, key) as store, opened(server.url, key) as other:
            assert await store.load() is None
            assert await store.save(Record(2**53, value)) == 2**53
            assert await other.load() == Record(2**53, value)

    run(test())


def test_record_without_a_higher_version_is_not_written(server: Servers) -> None:
    async def test() -> None:
        async with opened(server.url, new_key()) as store:
            assert await store.save(Record(2, "stored")) == 2
            for version in (1, 2):
                assert await store.save(Record(version, "late")) == 2
            assert await store.load() == Record(2, "stored")
            assert await store.save(Record(3, "next")) == 3

    run(test())


def test_concurrent_writers_leave_the_highest_version(server: Servers) -> None:
    async def test() -> None:
        key = new_key()
        async with opened(server.url, key) as a, opened(server.url, key) as b, opened(server.url, key) as c:
            await a.load()

            async def save(store: Store, first: int) -> None:
                for version in range(first, 61, 3):
                    assert await store.save(Record(version, version)) >= version

            await asyncio.gather(save(a, 1), save(b, 2), save(c, 3))
            assert await a.load() == Record(60, 60)

    run(test())


def test_sources_do_not_see_the_records_of_others(server: Servers) -> None:
    async def test() -> None:
        async with opened(server.url, new_key()) as one, opened(server.url, new_key()) as other:
            await one.load()
            await one.save(Record(1, "one"))
            assert await other.load() is None

    run(test())


def test_store_uses_a_restarted_server_without_a_failure(server: Servers) -> None:
    async def test() -> None:
        async with opened(server.url, new_key()) as store:
            await store.load()
            await store.save(Record(1, "a"))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            assert await store.save(Record(2, "b")) == 2
            assert await store.load() == Record(2, "b")

    run(test())


def test_cancelled_save_may_be_written_but_never_over_a_newer_one(server: Servers) -> None:
    async def test() -> None:
        async with opened(server.url, new_key()) as store:
            await store.load()
            for version in range(1, 60, 2):
                late = asyncio.create_task(store.save(Record(version, LARGEST)))
                for _ in range(version % 12):
                    await asyncio.sleep(0)
                late.cancel()
                assert await store.save(Record(version + 1, "newer")) == version + 1
            await asyncio.sleep(0.1)
            assert await store.load() == Record(60, "newer")

    run(test())


def test_unused_connection_is_closed(server: Servers) -> None:
    async def test() -> None:
        async with opened(server.url, new_key()) as store:
            store.server = replace(store.server, idle_s=2)  # so that it is counted before it is closed
            await store.load()
            assert await asyncio.to_thread(connections, server) == 1
            await asyncio.to_thread(wait_until, lambda: not connections(server), "no connection")
            assert await store.save(Record(1, "a")) == 1

    run(test())


def connections(server: Servers) -> int:
    if isinstance(server, RedisServer):
        return len(server.client.client_list()) - 1
    return len(server.run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'sample-source'"))


def test_laws_of_the_stored_position_hold(server: Servers) -> None:
    class OnServer(CheckpointMachine):
        def make_store(self) -> Store:
            return open_store(server.url, new_key())

    few = settings(max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OnServer, settings=few)


SCHEMES = pytest.mark.parametrize("url", ["postgresql://u:s3cret@{}/d", "redis://u:s3cret@{}/0", "rediss://{}"])


@SCHEMES
def test_refused_port_is_a_store_error(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert failure(url.format(f"127.0.0.1:{port}")) == f"127.0.0.1:{port}: connection refused"


@SCHEMES
def test_name_that_does_not_resolve_is_a_store_error(url: str) -> None:
    assert "no-such-host.invalid" in (text := failure(url.format("no-such-host.invalid")))
    assert "host name not resolved" in text


@SCHEMES
def test_silent_server_is_a_store_error_within_the_time_limit(url: str) -> None:
    end = threading.Event()
    with listening(lambda connection: end.wait(DEADLINE_S)) as (port, _):

        async def test() -> str:
            async with opened(url.format(f"127.0.0.1:{port}")) as store:
                store.server = replace(store.server, limit_s=0.2)
                try:
                    with pytest.raises(StoreError) as raised:
                        await store.load()
                finally:
                    end.set()
                return str(raised.value)

        assert asyncio.run(test()) == f"127.0.0.1:{port}: no answer within 0.2 s"


@SCHEMES
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request s3cret\r\n\r\n", b"\x00" * 100, b"-ERR s3cret\r\n"])
def test_server_that_ends_or_speaks_another_protocol_is_a_store_error(url: str, answer: bytes) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(answer)

    with listening(handle) as (port, _):
        assert failure(url.format(f"127.0.0.1:{port}")).startswith(f"127.0.0.1:{port}: ")


@SCHEMES
def test_host_that_is_not_allowed_is_not_looked_up(url: str) -> None:
    text = failure(url.format("db.example.com"), egress=Egress(allowed_hosts=("other.example.com",)))
    assert text == 'host "db.example.com" is not allowed; add it to ALLOWED_HOSTS of the hook'


@SCHEMES
def test_denied_address_of_an_allowed_name_is_not_connected_to(url: str) -> None:
    egress = Egress(allowed_hosts=("localhost",), denied_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    with listening(lambda connection: None) as (port, peers):
        text = failure(url.format(f"localhost:{port}"), egress=egress)
    assert "is not allowed; DENIED_NETWORKS of the hook contains" in text
    assert peers == []
