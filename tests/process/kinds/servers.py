"""PostgreSQL and Redis as child processes on loopback, with their data in a temporary directory."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis import Redis, RedisError

from tests.deadline import DEADLINE_S
from tests.process.harness import free_port, listens, wait_until


def program(name: str, package: str) -> str:
    """The path of a server's program. Without it the test is skipped; in CI, which installs the package, it fails."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if found := next(map(str, reversed(versions)), None) or shutil.which(name):
        return found
    reason = f"{name} is missing; install it with: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Server:
    """A server that can be stopped and started again with the same data and port."""

    def __init__(self, words: list[str], port: int, log: Path, user: str | None = None) -> None:
        self._words, self._port, self._log, self._user = words, port, log, user
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Does nothing if it runs."""
        if self._child:
            return
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._words, user=self._user, stdout=log, stderr=log)
        wait_until(lambda: listens(self._port), "the server", self._log.read_text)

    def stop(self, number: int) -> None:
        if self._child:
            self._child.send_signal(number)
            self._child.wait(DEADLINE_S)
            self._child = None


class Postgres(Server):
    def __init__(self, directory: Path) -> None:
        data, user = str(directory / "data"), "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        if user:
            shutil.chown(directory, user)
        initdb = [program("initdb", "postgresql"), "-D", data, "-U", "tester", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=directory)
        port = free_port()
        self.url = f"postgresql://tester@127.0.0.1:{port}/postgres"
        words = [program("postgres", "postgresql"), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
        more = ["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=8MB"]
        super().__init__([*words, *more], port, directory / "log", user)

    def start(self) -> None:
        super().start()
        wait_until(self._answers, "PostgreSQL", self._log.read_text)  # it listens before it has recovered its data

    def _answers(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            return bool(self.run("SELECT 1"))
        return False

    def run(self, sql: str, *arguments: Any) -> list[Any]:
        """The rows that the statement returns."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                return list(await connection.fetch(sql, *arguments))
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """SIGQUIT ends it at once, as a crash would."""
        super().stop(number)


class RedisServer(Server):
    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = Redis.from_url(self.url, decode_responses=True)
        words = [program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        kept = ["--dir", str(directory), "--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        super().__init__([*words, *kept], port, directory / "log")

    def start(self) -> None:
        super().start()
        wait_until(self._answers, "Redis", self._log.read_text)  # it listens before it has loaded its data

    def _answers(self) -> bool:
        with suppress(RedisError):
            return bool(self.client.ping())
        return False

    def stop(self, number: int = signal.SIGKILL) -> None:
        self.client.close()
        super().stop(number)


@contextmanager
def server_directory() -> Iterator[Path]:
    """A directory that another user can reach, unlike ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="server-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)
