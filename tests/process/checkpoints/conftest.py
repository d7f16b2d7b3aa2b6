"""PostgreSQL and Redis on loopback, one of each for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.kinds.servers import Postgres, RedisServer, server_directory


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with server_directory() as directory:
        server = Postgres(directory)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with server_directory() as directory:
        server = RedisServer(directory)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["postgres", "redis"])
def server(request: pytest.FixtureRequest) -> Postgres | RedisServer:
    """Each of both, running."""
    found = request.getfixturevalue(request.param)
    found.start()
    assert isinstance(found, Postgres | RedisServer)
    return found
