"""A checkpoint in PostgreSQL: one row of a table, which is made when it is missing.

No prepared statement has a name, and asyncpg sends no Sync between Parse and Bind. So PgBouncer can be in between.
"""

from __future__ import annotations

import json
import re
import ssl
from contextlib import suppress
from typing import Any, TypeAlias

import asyncpg

from adapter.checkpoints.server import RETENTION_DAYS, Server, ServerStore, record_of
from adapter.checkpoints.store import Record
from adapter.net.tls import empty_context

MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")

# A text, because the JSON of Python is ASCII and fits every encoding; jsonb has no \u0000. Not compressed: a save of
# 110 KB takes 2.3 ms instead of 7.3 ms. Both statements are one transaction.
CREATE = """CREATE TABLE source_checkpoints (
    key text PRIMARY KEY, version bigint NOT NULL, value text NOT NULL, saved_at timestamptz NOT NULL);
ALTER TABLE source_checkpoints ALTER value SET STORAGE EXTERNAL"""
LOAD = "UPDATE source_checkpoints SET saved_at = now() WHERE key = $1 RETURNING version, value"
SAVE = """INSERT INTO source_checkpoints AS stored VALUES ($1, $2, $3, now()) ON CONFLICT (key) DO UPDATE
    SET version = excluded.version, value = excluded.value, saved_at = excluded.saved_at
    WHERE stored.version < excluded.version RETURNING version"""
VERSION = "SELECT version FROM source_checkpoints WHERE key = $1"
DELETE = f"DELETE FROM source_checkpoints WHERE saved_at < now() - interval '{RETENTION_DAYS} days'"

REASONS: dict[type[Exception], str] = {
    asyncpg.InvalidAuthorizationSpecificationError: "PostgreSQL does not accept the user or the password",
    asyncpg.InvalidCatalogNameError: "the database does not exist",
    asyncpg.ReadOnlySQLTransactionError: "the database is read-only; write the host of the primary server",
    asyncpg.InsufficientPrivilegeError: "the user may not write to the table source_checkpoints, or create it",
    asyncpg.InvalidSchemaNameError: "the search_path of the user has no schema for the table source_checkpoints",
    asyncpg.TooManyConnectionsError: "PostgreSQL has too many connections",
    asyncpg.CannotConnectNowError: "PostgreSQL is starting or stopping",
    asyncpg.DiskFullError: "the disk of PostgreSQL is full",
}
Connection: TypeAlias = Any  # asyncpg.Connection; asyncpg has no types


class PostgresStore(ServerStore[Connection]):
    """The row ``key``. ``mode``: one of ``MODES``, which mean the same as in libpq."""

    def __init__(self, server: Server, key: str, mode: str = "prefer") -> None:
        super().__init__(server)
        self._key, self._mode = key, mode
        self._has_deleted = False

    async def load(self) -> Record | None:
        return await self.call(self._load)

    async def save(self, record: Record) -> int:
        text = json.dumps(record.value)

        async def save(connection: Connection) -> int:
            try:
                written = await connection.fetchval(SAVE, self._key, record.version, text)
            except asyncpg.UndefinedTableError:  # dropped, or the server now has another database
                await _create(connection)
                written = await connection.fetchval(SAVE, self._key, record.version, text)
            return int(written or await connection.fetchval(VERSION, self._key) or 0)

        return await self.call(save)

    async def _load(self, connection: Connection) -> Record | None:
        try:
            row = await connection.fetchrow(LOAD, self._key)
        except asyncpg.UndefinedTableError:
            await _create(connection)
            row = await connection.fetchrow(LOAD, self._key)
        if not self._has_deleted:
            with suppress(asyncpg.InsufficientPrivilegeError):  # another adapter may have the right
                await connection.execute(DELETE)
            self._has_deleted = True
        name = f"the row {self._key} of the table source_checkpoints"
        return record_of(name, row["version"], row["value"]) if row else None

    async def connect(self, address: str) -> Connection:
        server = self.server
        return await asyncpg.connect(
            host=address,
            port=server.port,
            user=server.user,
            password=server.password or "",
            database=server.database,
            ssl=self._tls(),
            timeout=server.limit_s,
            statement_cache_size=0,
            server_settings={"application_name": "sample-source"},
        )

    def _tls(self) -> ssl.SSLContext | str:
        if self._mode in ("disable", "prefer"):
            return self._mode
        if self._mode == "require":
            context = self.server.named(empty_context())
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = self.server.verifying_context()
            context.check_hostname = self._mode == "verify-full"
        return context

    async def disconnect(self, connection: Connection) -> None:
        connection.terminate()

    def reason(self, error: Exception) -> str:
        if "rejected SSL upgrade" in str(error):
            return "PostgreSQL has no TLS"
        for kind, text in REASONS.items():
            if isinstance(error, kind):
                return text
        if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.AdminShutdownError | asyncpg.CrashShutdownError):
            return "PostgreSQL closed the connection"
        if isinstance(error, asyncpg.PostgresError):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error")).lower()
            return f"PostgreSQL answered: {words} (SQLSTATE {error.sqlstate})"
        return ""


async def _create(connection: Connection) -> None:
    # Of two that create it at once, one gets an error.
    with suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError):
        await connection.execute(CREATE)
