"""What the kinds read from: one class per kind, with the same methods, so that one test covers all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Protocol

from tests.process.kinds.servers import Postgres, RedisServer

SAMPLES = Path(__file__).parents[3] / "metacontroller/samples/kinds"


def commands(sample: str) -> str:
    """The commands in the comment at the top of the sample: its indented lines."""
    return "\n".join(re.findall("^#  +(.*)$", (SAMPLES / sample).read_text(), re.MULTILINE))


class Upstream(Protocol):
    kind: str
    config: dict[str, Any]  # SOURCE_CONFIG
    secret: str  # SOURCE_SECRET_0
    ordered: bool  # events arrive in the order of `add`, also after a kill

    def add(self, count: int) -> list[str]:
        """Add this many items; return the ids of their events."""

    def left(self) -> int:
        """The number of items that were not accepted yet."""

    def make_due(self) -> None:
        """What a minute does: items that were read and not accepted come again."""


class Outbox:
    kind, ordered = "PostgresOutboxSource", True
    config = {"url": {"$env": "SOURCE_SECRET_0"}, "interval": "100ms"}

    def __init__(self, server: Postgres) -> None:
        self.server, self.secret = server, server.url
        server.run("DROP TABLE IF EXISTS outbox")
        create, *_ = commands("postgres_outbox_source.yaml").split(";")
        server.run(create)

    def add(self, count: int) -> list[str]:
        insert = "INSERT INTO outbox (type, data) SELECT 'com.example.order', jsonb_build_object('n', n) "
        rows = self.server.run(f"{insert} FROM generate_series(1, $1::int) n RETURNING id", count)
        return [str(row["id"]) for row in rows]

    def left(self) -> int:
        return int(self.server.run("SELECT count(*) FROM outbox")[0][0])

    def make_due(self) -> None:
        self.server.run("UPDATE outbox SET due = now()")


class Stream:
    kind, ordered = "RedisStreamSource", False
    config = {"url": {"$env": "SOURCE_SECRET_0"}, "stream": "orders", "group": "events"}

    def __init__(self, server: RedisServer) -> None:
        self.server, self.secret = server, server.url
        server.client.flushall()
        create, *_ = commands("redis_stream_source.yaml").splitlines()
        server.client.execute_command(*create.split())

    def add(self, count: int) -> list[str]:
        return [str(self.server.client.xadd("orders", {"n": n})) for n in range(count)]

    def left(self) -> int:
        [group] = self.server.client.xinfo_groups("orders")
        return int(group["pending"]) + int(group["lag"])

    def make_due(self) -> None:
        for entry in self.server.client.xpending_range("orders", "events", "-", "+", 100):
            self.server.client.xclaim("orders", "events", "adapter", 0, [entry["message_id"]], idle=60_000, justid=True)


class Spool:
    kind, ordered, secret = "DirectorySource", True, ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = {"directory": str(directory), "interval": "100ms"}
        self._written = 0

    def add(self, count: int) -> list[str]:
        return [self._write(n) for n in range(count)]

    def _write(self, n: int) -> str:
        self._written += 1
        name = f"{self._written:05}.json"
        (self.directory / f".{name}").write_text(json.dumps({"n": n}))
        file = (self.directory / f".{name}").rename(self.directory / name)
        return f"{name}-{file.stat().st_mtime_ns}"

    def left(self) -> int:
        return sum(1 for _ in self.directory.iterdir())

    def make_due(self) -> None:
        """They come again with each look into the directory."""
