"""Checkpoints in Redis: the key, its expiry, the rights, and the errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from adapter.checkpoints.store import Record
from tests.deadline import DEADLINE_S
from tests.process.checkpoints.opened import failure, listening, new_key, opened, with_login
from tests.process.kinds.servers import RedisServer, server_directory

DAYS_90 = 90 * 24 * 3600


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def save_and_load(url: str, key: str = "key", version: int = 1) -> None:
    async with opened(url, key) as store:
        await store.load()
        assert await store.save(Record(version, "value")) == version
        assert await store.load() == Record(version, "value")


@pytest.fixture(autouse=True)
def empty(redis: RedisServer) -> None:
    redis.start()
    redis.client.flushall()


def test_record_is_a_hash_that_expires_90_days_after_its_last_use(redis: RedisServer) -> None:
    run(save_and_load(redis.url))
    assert redis.client.keys() == ["source-checkpoint:key"]
    assert redis.client.hgetall("source-checkpoint:key") == {"version": "1", "value": '"value"'}
    assert DAYS_90 - 60 < redis.client.ttl("source-checkpoint:key") <= DAYS_90

    async def load() -> None:
        async with opened(redis.url) as store:
            await store.load()

    redis.client.expire("source-checkpoint:key", 100)
    run(load())
    assert DAYS_90 - 60 < redis.client.ttl("source-checkpoint:key") <= DAYS_90


def test_number_in_the_url_selects_the_database(redis: RedisServer) -> None:
    run(save_and_load(redis.url.replace("/0", "/3")))
    assert redis.client.info("keyspace").keys() == {"db3"}
    assert failure(redis.url.replace("/0", "/99")) == f"{redis.url[8:-2]}: Redis answered with the error ERR"


def test_server_that_forgot_its_scripts_needs_no_new_start(redis: RedisServer) -> None:
    async def test() -> None:
        async with opened(redis.url) as store:
            await store.save(Record(1, 1))
            redis.client.script_flush()
            assert await store.save(Record(2, 2)) == 2

    run(test())


@contextmanager
def config(redis: RedisServer, name: str, value: str, after: str) -> Iterator[None]:
    redis.client.config_set(name, value)
    try:
        yield
    finally:
        redis.client.config_set(name, after)


def test_missing_and_wrong_passwords_are_store_errors(redis: RedisServer) -> None:
    with config(redis, "requirepass", "s3cret", ""):
        assert failure(redis.url).endswith(": Redis needs a password")
        for user in ("", "default", "nobody"):
            wrong = with_login(redis.url, user, "wrong-s3cret")
            assert failure(wrong).endswith(": Redis does not accept the user or the password")
        run(save_and_load(with_login(redis.url, "", "s3cret")))


RIGHTS = ["+eval", "+hget", "+hmget", "+hset", "+expire"]


def test_user_needs_the_rights_of_the_page(redis: RedisServer) -> None:
    redis.client.acl_setuser(
        "writer", enabled=True, passwords=["+s3cret"], keys=["source-checkpoint:*"], commands=RIGHTS
    )
    url = with_login(redis.url, "writer", "s3cret")
    run(save_and_load(url))
    for missing in RIGHTS:
        redis.client.acl_setuser("writer", enabled=True, commands=[f"-{missing[1:]}"])
        text = failure(url, new_key(), saves=missing in ("+hget", "+hset"))
        assert text.endswith(": the user may not run EVAL, HGET, HMGET, HSET and EXPIRE on keys source-checkpoint:*")
        redis.client.acl_setuser("writer", enabled=True, commands=[missing])
    redis.client.acl_deluser("writer")


def test_full_memory_is_a_store_error_and_the_old_record_stays(redis: RedisServer) -> None:
    run(save_and_load(redis.url))
    with config(redis, "maxmemory", "1", "0"):

        async def load() -> Record | None:
            async with opened(redis.url) as store:
                return await store.load()

        assert asyncio.run(load()) == Record(1, "value")
    run(save_and_load(redis.url, version=2))
    with config(redis, "maxmemory", "1", "0"):
        assert failure(redis.url, "other", saves=True).endswith(": Redis has no memory left (maxmemory)")


def test_read_only_replica_is_a_store_error(redis: RedisServer) -> None:
    with server_directory() as directory:
        replica = RedisServer(directory)
        try:
            replica.client.replicaof("127.0.0.1", redis.url.rpartition(":")[2].partition("/")[0])
            for saves in (False, True):
                text = failure(replica.url, saves=saves)
                assert text.endswith(": the server is a read-only replica; write the host of the primary server")
        finally:
            replica.stop()


def test_damaged_value_is_a_store_error_that_names_the_key(redis: RedisServer) -> None:
    redis.client.hset("source-checkpoint:key", mapping={"version": 1, "value": '{"seen": ['})
    text = "the Redis key source-checkpoint:key is damaged; delete it, and the source starts without a checkpoint"
    assert failure(redis.url) == text
    redis.client.hset("source-checkpoint:key", mapping={"version": "x", "value": "1"})
    assert failure(redis.url) == text


def test_key_of_another_type_is_a_store_error(redis: RedisServer) -> None:
    redis.client.set("source-checkpoint:key", "s3cret")
    assert failure(redis.url).endswith(": Redis answered with the error WRONGTYPE")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("LOADING Redis is loading the dataset in memory", "Redis is loading its data"),
        ("MOVED 1234 10.0.0.1:6379", "the server belongs to a Redis Cluster, which is not supported"),
        ("MISCONF Redis is configured to save RDB snapshots, s3cret", "Redis cannot write to its disk"),
        ("BUSY Redis is busy running a script s3cret", "Redis answered with the error BUSY"),
        (
            "ERR Error running script (call to f_1): @user_script:1: -OOM command",
            "Redis has no memory left (maxmemory)",
        ),
        ("ERR s3cret", "Redis answered with the error ERR"),
    ],
)
def test_error_of_the_server_shows_its_code_and_not_its_text(answer: str, reason: str) -> None:
    def handle(connection: Any) -> None:
        while connection.recv(10_000):
            connection.sendall(f"-{answer}\r\n".encode())

    with listening(handle) as (port, _):
        assert failure(f"redis://127.0.0.1:{port}") == f"127.0.0.1:{port}: {reason}"


def test_new_keys_are_independent(redis: RedisServer) -> None:
    run(save_and_load(redis.url, new_key()))
    run(save_and_load(redis.url, new_key()))
    assert len(redis.client.keys()) == 2
