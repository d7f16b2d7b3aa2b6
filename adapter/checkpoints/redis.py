"""A checkpoint in Redis 6 or newer, or a server with its protocol: one hash, which expires when it is unused."""

from __future__ import annotations

import json
import re
from typing import Any

from redis import exceptions
from redis.asyncio import Connection, SSLConnection

from adapter.checkpoints.server import RETENTION_DAYS, Server, ServerStore, record_of
from adapter.checkpoints.store import Record

PREFIX = "source-checkpoint:"
# Redis runs a script as one step. EVAL sends it each time, so a server that was restarted needs no reload.
LOAD = "redis.call('EXPIRE', KEYS[1], ARGV[1]) return redis.call('HMGET', KEYS[1], 'version', 'value')"
SAVE = """local stored = tonumber(redis.call('HGET', KEYS[1], 'version'))
if stored and stored >= tonumber(ARGV[2]) then return stored end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return tonumber(ARGV[2])"""
RETENTION_S = RETENTION_DAYS * 24 * 3600

REASONS = {
    "WRONGPASS": "Redis does not accept the user or the password",
    "NOAUTH": "Redis needs a password",
    "NOPERM": "the user may not run EVAL, HGET, HMGET, HSET and EXPIRE on keys source-checkpoint:*",
    "READONLY": "the server is a read-only replica; write the host of the primary server",
    "LOADING": "Redis is loading its data",
    "OOM": "Redis has no memory left (maxmemory)",
    "MISCONF": "Redis cannot write to its disk",
    "MOVED": "the server belongs to a Redis Cluster, which is not supported",
}
KINDS: dict[type[Exception], str] = {  # the driver removes the code from the text of these errors
    exceptions.BusyLoadingError: "LOADING",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.MovedError: "MOVED",
}


_IN_SCRIPT = re.compile("can't (run|access)|No permissions")  # the codes of Redis 7 and newer are ERR in scripts


class RedisStore(ServerStore[Connection]):
    """The hash ``source-checkpoint:KEY``."""

    def __init__(self, server: Server, key: str, *, tls: bool = False) -> None:
        super().__init__(server)
        self._key, self._tls = PREFIX + key, tls

    async def load(self) -> Record | None:
        version, value = await self._eval(LOAD, RETENTION_S)
        return record_of(f"the Redis key {self._key}", version, value) if version is not None else None

    async def save(self, record: Record) -> int:
        return int(await self._eval(SAVE, RETENTION_S, record.version, json.dumps(record.value)))

    async def _eval(self, script: str, *arguments: Any) -> Any:
        async def evaluate(connection: Connection) -> Any:
            await connection.send_command("EVAL", script, 1, self._key, *arguments)
            return await connection.read_response()

        return await self.call(evaluate)

    async def connect(self, address: str) -> Connection:
        server, limit_s = self.server, self.server.limit_s
        options: dict[str, Any] = {
            "host": address,
            "port": server.port,
            "db": int(server.database),  # 0 needs no SELECT
            "username": server.user,
            "password": server.password,
            "socket_timeout": limit_s,
            "socket_connect_timeout": limit_s,
            "protocol": 2,
            "driver_info": None,
        }
        connection = SSLConnection(**options) if self._tls else Connection(**options)
        if isinstance(connection, SSLConnection):
            connection.ssl_context.context = server.verifying_context()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis has no types here
        except BaseException:
            await self.disconnect(connection)
            raise
        return connection

    async def disconnect(self, connection: Connection) -> None:
        await connection.disconnect(nowait=True)

    def reason(self, error: Exception) -> str:
        if isinstance(error, exceptions.AuthenticationError):
            return REASONS["NOAUTH" if "required" in str(error) else "WRONGPASS"]
        for kind, code in KINDS.items():
            if isinstance(error, kind):
                return REASONS[code]
        if isinstance(error, exceptions.ResponseError):
            text = _IN_SCRIPT.sub("NOPERM", str(error))
            found = re.search(rf"\b({'|'.join(REASONS)})\b", text) or re.match(r"([A-Z]{3,20}) ", text)
            code = found[1] if found else "ERR"
            return REASONS.get(code, f"Redis answered with the error {code}")
        if isinstance(error, exceptions.ConnectionError) and not error.__context__:
            return "Redis closed the connection"
        return ""
