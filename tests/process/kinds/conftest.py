"""The servers of the sample kinds; each is started once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.kinds.servers import Postgres, RedisServer, server_directory
from tests.process.kinds.upstreams import Outbox, Spool, Stream, Upstream


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with server_directory() as directory:
        server = Postgres(directory)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with server_directory() as directory:
        server = RedisServer(directory)
        yield server
        server.stop()


@pytest.fixture(params=[Outbox, Stream, Spool], ids=lambda kind: str(kind.kind))
def upstream(request: pytest.FixtureRequest, tmp_path: Path) -> Upstream:
    if request.param is Spool:
        return Spool(tmp_path)
    server = request.getfixturevalue("postgres" if request.param is Outbox else "redis")
    server.start()  # if a failed test left it stopped
    made: Upstream = request.param(server)
    return made
