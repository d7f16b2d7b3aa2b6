"""Child processes of ``sources run``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from sources_cli.local.process import Process, exit_text, free_port
from tests.deadline import DEADLINE_S

SLEEPER = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signal_to_a_process_that_has_just_ended_does_not_lose_its_exit_code(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel gives the exit code to one waiter only. That must be the one of asyncio."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)

    async def kill_until_it_ends() -> int:
        lines: asyncio.Queue[str] = asyncio.Queue()
        process = await Process.start(["sleeper"], {"PYTHONPATH": str(tmp_path)}, lines.put_nowait, print)
        pid = int(await asyncio.wait_for(lines.get(), DEADLINE_S))
        deadline = time.monotonic() + DEADLINE_S
        while runs(pid):  # without await, so that asyncio does not learn of the end
            process.kill()
            assert time.monotonic() < deadline
        process.kill()
        return await process.wait()

    async def several() -> list[int]:
        return [await kill_until_it_ends() for _ in range(5)]

    assert asyncio.run(several()) == [-signal.SIGKILL] * 5
    assert caplog.messages == []


def test_error_about_a_line_is_raised_before_the_process_ends(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)

    def fail(line: str) -> None:
        raise LookupError(line)

    async def run() -> tuple[BaseException, int]:
        process = await Process.start(["sleeper"], {"PYTHONPATH": str(tmp_path)}, fail, print)
        [error] = await asyncio.gather(asyncio.wait_for(process.wait(), DEADLINE_S), return_exceptions=True)
        assert isinstance(error, LookupError)
        return error, await process.stop(DEADLINE_S)

    assert asyncio.run(run())[1] == -signal.SIGTERM


def test_free_port_is_given_to_no_other_program() -> None:
    ports = {free_port() for _ in range(200)}
    assert len(ports) == 200
    with contextlib.ExitStack() as servers:
        others = [servers.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(200)]
        assert ports.isdisjoint(server.getsockname()[1] for server in others)


def test_server_can_listen_on_a_free_port() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize(
    ("code", "text"), [(0, "0"), (2, "2"), (-signal.SIGKILL, "137 (Killed)"), (-signal.SIGTERM, "143 (Terminated)")]
)
def test_end_by_a_signal_is_shown_as_in_kubernetes_with_the_name_of_the_signal(code: int, text: str) -> None:
    assert exit_text(code) == text


def runs(pid: int) -> bool:
    """Whether the process is neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
