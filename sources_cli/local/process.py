"""A child process, whose output is passed on line by line, and which is stopped gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from adapter.serving.parent import end_with_parent
from adapter.serving.sockets import ALL_ADDRESSES, listening_socket

INHERITED = ("PATH", "PYTHONPATH")  # variables that a Python process needs in addition to its own environment
LOOPBACK = ("127.0.0.1", "::1")  # this machine may have only one of them
LINE_LIMIT = 4 * 1024 * 1024

OnLine = Callable[[str], None]


class Process:
    """``python -m …`` in its own session. So Ctrl-C does not reach it, and this program stops processes in order."""

    def __init__(self, child: asyncio.subprocess.Process, on_stdout: OnLine, on_stderr: OnLine) -> None:
        self._child = child
        self.last_error = ""
        assert child.stdout is not None
        assert child.stderr is not None
        self.output = asyncio.gather(_each(child.stdout, on_stdout), _each(child.stderr, self._remember(on_stderr)))

    @classmethod
    async def start(
        cls, module: Sequence[str], environ: Mapping[str, str], on_stdout: OnLine, on_stderr: OnLine
    ) -> Process:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *module,
            env={**inherited, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid()) if sys.platform == "linux" else None,
            limit=LINE_LIMIT,
        )
        return cls(child, on_stdout, on_stderr)

    @property
    def running(self) -> bool:
        return self._child.returncode is None

    async def wait(self) -> int:
        """The exit code, after the last line of output has been passed on. Raises an error in ``on_line`` at once."""
        code, _ = await asyncio.gather(self._child.wait(), asyncio.shield(self.output))
        return code

    async def stop(self, grace_s: float) -> int:
        """Sends SIGTERM, and SIGKILL after ``grace_s``. Returns the exit code."""
        self._signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._end(), grace_s)
        except TimeoutError:
            self.kill()
            return await self._end()

    async def _end(self) -> int:
        """As ``wait``, also after an error in ``on_line``."""
        code = await self._child.wait()
        await asyncio.wait([self.output])
        return code

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Unlike ``send_signal`` of asyncio, this does not reap a process that has just ended: asyncio's own waiter
        would not get the exit code, and would report 255 instead."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.pid, number)

    def _remember(self, on_line: OnLine) -> OnLine:
        def handle(line: str) -> None:
            self.last_error = line.strip() or self.last_error
            on_line(line)

        return handle


def exit_text(code: int) -> str:
    """An exit code for people. Kubernetes shows the end by signal 9 as 137, and Python as -9: ``137 (Killed)``."""
    return f"{128 - code} ({signal.strsignal(-code)})" if code < 0 else str(code)


def free_port() -> int:
    """A port that the kernel gives to no other program for a minute, unless the program asks for this number.

    A connection that the server's side closes first leaves its port in the state TIME_WAIT. A server that sets
    SO_REUSEADDR, as asyncio does, can listen on it. A server or a client that takes any port gets another one.
    """
    with listening_socket(ALL_ADDRESSES, 0) as server:
        port: int = server.getsockname()[1]
        for host in LOOPBACK:
            with contextlib.suppress(OSError), socket.create_connection((host, port)):
                server.accept()[0].close()
        return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _each(stream: asyncio.StreamReader, on_line: OnLine) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # asyncio drops a line longer than LINE_LIMIT
            continue
        if not line:
            return
        on_line(line.decode("utf-8", "replace").rstrip("\n"))


@contextlib.contextmanager
def on_signal(handle: Callable[[], None]) -> Iterator[None]:
    """Calls ``handle`` at each Ctrl-C and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
