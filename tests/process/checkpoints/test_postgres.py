"""Checkpoints in PostgreSQL: the table, the rights, the retention, the errors, and PgBouncer."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from adapter.checkpoints.postgres import PostgresStore
from adapter.checkpoints.server import Server as StoreServer
from adapter.checkpoints.store import Record
from tests.deadline import DEADLINE_S
from tests.process.checkpoints.opened import failure, new_key, opened, with_login
from tests.process.harness import free_port
from tests.process.kinds.servers import Postgres, Server, program, server_directory

LOGIN = ("writer", "s3cret")


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"db_{new_key()}"
    postgres.run(f"CREATE DATABASE {name}")
    yield f"{postgres.url.rpartition('/')[0]}/{name}"
    postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, *statements: str) -> list[Any]:
    return asyncio.run(execute_async(url, *statements))


async def execute_async(url: str, *statements: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            rows = await connection.fetch(statement)
        return list(rows)
    finally:
        await connection.close()


@pytest.fixture
def login(postgres: Postgres, database: str) -> Iterator[str]:
    """The URL of the empty database for a role that needs its password and has no rights on the schema."""
    settings = Path(postgres.run("SHOW hba_file")[0][0])
    before = settings.read_text()
    settings.write_text(f"host all writer 127.0.0.1/32 scram-sha-256\n{before}")
    postgres.run("SELECT pg_reload_conf()")
    postgres.run("CREATE ROLE writer LOGIN PASSWORD 's3cret'")
    yield with_login(database, *LOGIN)
    settings.write_text(before)
    postgres.run("SELECT pg_reload_conf()")
    execute(database, "DROP OWNED BY writer")
    postgres.run("DROP ROLE writer")


async def save_and_load(url: str) -> None:
    async with opened(url, new_key()) as store:
        await store.load()
        assert await store.save(Record(1, "value")) == 1
        assert await store.load() == Record(1, "value")


def test_table_is_created_by_adapters_that_start_at_once(database: str) -> None:
    async def test() -> None:
        await asyncio.gather(*(save_and_load(database) for _ in range(8)))

    run(test())
    columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'source_checkpoints'"
    assert [tuple(row) for row in execute(database, f"{columns} ORDER BY ordinal_position")] == [
        ("key", "text"),
        ("version", "bigint"),
        ("value", "text"),
        ("saved_at", "timestamp with time zone"),
    ]


def test_table_that_was_dropped_while_an_adapter_runs_is_made_by_its_next_save(database: str) -> None:
    async def test() -> None:
        async with opened(database) as store:
            await store.load()
            assert await store.save(Record(1, "a")) == 1
            await execute_async(database, "DROP TABLE source_checkpoints")
            assert await store.save(Record(2, "b")) == 2
            assert await store.load() == Record(2, "b")

    run(test())


def test_role_that_may_not_create_the_table_is_told_so_and_works_once_it_exists(database: str, login: str) -> None:
    execute(database, "REVOKE CREATE ON SCHEMA public FROM public")
    assert "the user may not write to the table source_checkpoints, or create it" in failure(login)
    run(save_and_load(database))
    assert "the user may not write to the table source_checkpoints, or create it" in failure(login)
    execute(database, "GRANT SELECT, INSERT, UPDATE, DELETE ON source_checkpoints TO writer")
    run(save_and_load(login))


def test_role_without_the_right_to_delete_works(database: str, login: str) -> None:
    run(save_and_load(database))
    execute(database, "GRANT SELECT, INSERT, UPDATE ON source_checkpoints TO writer")
    run(save_and_load(login))


def test_table_is_made_in_the_first_schema_of_the_search_path(database: str, login: str) -> None:
    execute(database, "CREATE SCHEMA events AUTHORIZATION writer", "ALTER ROLE writer SET search_path = events")
    run(save_and_load(login))
    assert execute(database, "SELECT count(*) FROM events.source_checkpoints")[0][0] == 1


def test_row_that_is_unused_for_90_days_is_deleted_at_the_start_of_any_adapter(database: str) -> None:
    async def save(key: str) -> None:
        async with opened(database, key) as store:
            await store.load()
            await store.save(Record(1, key))

    async def start(key: str) -> Record | None:
        async with opened(database, key) as store:
            return await store.load()

    for key in ("gone", "kept", "own"):
        run(save(key))
    age = "UPDATE source_checkpoints SET saved_at = now() - interval '{} days' WHERE key {}"
    execute(database, age.format(91, "in ('gone', 'own')"), age.format(89, "= 'kept'"))
    assert asyncio.run(start("own")) == Record(1, "own")  # a source that starts keeps its own record
    rows = execute(database, "SELECT key, now() - saved_at < interval '1 day' FROM source_checkpoints ORDER BY key")
    assert [tuple(row) for row in rows] == [("kept", False), ("own", True)]


def test_damaged_row_is_a_store_error_that_names_it(database: str) -> None:
    run(save_and_load(database))
    execute(database, "UPDATE source_checkpoints SET value = '{\"seen\": [', key = 'key'")
    text = (
        "the row key of the table source_checkpoints is damaged; delete it, and the source starts without a checkpoint"
    )
    assert failure(database) == text


def test_wrong_password_is_a_store_error(login: str) -> None:
    text = failure(login.replace("s3cret", "wrong-s3cret"))
    assert text.endswith(": PostgreSQL does not accept the user or the password")


def test_unknown_user_and_database_are_store_errors(postgres: Postgres, database: str) -> None:
    assert "does not accept the user" in failure(with_login(database, "nobody", "s3cret"))
    assert failure(f"{postgres.url}_other").endswith(": the database does not exist")


@pytest.mark.parametrize("saves", [False, True])
def test_read_only_replica_is_a_store_error(postgres: Postgres, database: str, saves: bool) -> None:
    run(save_and_load(database))
    postgres.run(f"ALTER DATABASE {urlsplit(database).path[1:]} SET default_transaction_read_only = on")
    assert failure(database, saves=saves).endswith(": the database is read-only; write the host of the primary server")


def test_too_many_connections_are_a_store_error(postgres: Postgres, database: str, login: str) -> None:
    postgres.run("ALTER ROLE writer CONNECTION LIMIT 0")
    assert failure(login).endswith(": PostgreSQL has too many connections")


def test_other_error_of_the_server_shows_its_name_and_not_its_text(database: str) -> None:
    run(save_and_load(database))
    execute(database, "ALTER TABLE source_checkpoints ADD CHECK (key <> 'key')")
    assert failure(database, saves=True).endswith(": PostgreSQL answered: check violation (SQLSTATE 23514)")


def test_locked_row_is_a_store_error_within_the_time_limit(database: str) -> None:
    async def test() -> None:
        async with opened(database, "key") as store:
            await store.load()
            await store.save(Record(1, "a"))
            other = await asyncpg.connect(database)
            try:
                async with other.transaction():
                    await other.execute("SELECT 1 FROM source_checkpoints FOR UPDATE")
                    store.server = replace(store.server, limit_s=0.3)
                    with pytest.raises(Exception, match=r"no answer within 0\.3 s"):
                        await store.save(Record(2, "b"))
            finally:
                await other.close()
            assert await store.save(Record(3, "c")) == 3

    run(test())


@contextmanager
def pgbouncer(postgres: Postgres) -> Iterator[str]:
    """The host and port of a PgBouncer that gives each transaction another connection."""
    with server_directory() as directory:
        port, behind = free_port(), urlsplit(postgres.url)
        (directory / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={behind.port} user=tester\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
            "server_round_robin = 1\nmin_pool_size = 3\ndefault_pool_size = 3\n"
        )
        words = [program("pgbouncer", "pgbouncer"), str(directory / "ini")]
        user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        if user:
            shutil.chown(directory, user)
        server = Server(words, port, directory / "log", user)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(15)


async def open_all_connections(url: str) -> None:
    """PgBouncer opens a connection when all others are used, and keeps it."""
    clients = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(3)]
    for client in clients:
        await client.execute("BEGIN")
    for client in clients:
        await client.execute("COMMIT")
        await client.close()


class Counted(PostgresStore):
    """Counts its connections: a failure on a kept one is hidden by the next one."""

    connections = 0

    async def connect(self, address: str) -> Any:
        self.connections += 1
        return await super().connect(address)


def test_pgbouncer_may_give_each_transaction_another_connection(postgres: Postgres, database: str) -> None:
    with pgbouncer(postgres) as address:
        host, _, port = address.partition(":")
        name = urlsplit(database).path[1:]

        async def test() -> None:
            await open_all_connections(f"postgresql://tester@{address}/{name}")
            server = partial(StoreServer, host=host, port=int(port), user="tester", password=None, database=name)
            a, b = Counted(server(), "a"), Counted(server(), "b")
            for version in range(1, 21):
                await asyncio.gather(a.load(), b.load())
                saved = await asyncio.gather(a.save(Record(version, "a")), b.save(Record(version, "b")))
                assert saved == [version, version]
                assert await a.save(Record(version, "late")) == version
            await a.aclose()
            await b.aclose()
            assert (a.connections, b.connections) == (1, 1)

        run(test())
