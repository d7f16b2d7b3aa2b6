"""A terminal for tests: runs a program in it, and reads its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.process.harness import DEADLINE_S


class Terminal:
    """``lines``: what the screen shows now. ``history``: the lines that have scrolled off the top."""

    def __init__(self, command: Sequence[str], cwd: Path, columns: int, rows: int, **environ: str) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", **environ}
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def history(self) -> list[str]:
        return [
            "".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top
        ]

    @property
    def title(self) -> str:
        return str(self._screen.title)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def cursor_is_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def wait_for(self, *words: str, deadline_s: float = DEADLINE_S) -> str:
        """The screen, when it shows all of ``words``."""
        self.wait_until(lambda: all(word in self.text for word in words), f"on the screen: {words}", deadline_s)
        return self.text

    def wait_until(self, met: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        deadline = time.monotonic() + deadline_s
        while not met():
            if time.monotonic() > deadline:
                raise AssertionError(f"not {what}; the screen:\n{self.text}")
            if not self._read(0.2):  # its output ends a moment before the program does
                self.process.wait(DEADLINE_S)
                assert met(), f"not {what}; the screen:\n{self.text}"
                return

    def signal(self, number: int) -> int:
        """Sends a signal. Returns the exit code after all output was read."""
        self.process.send_signal(number)
        deadline = time.monotonic() + DEADLINE_S
        while self._read(0.2):
            assert time.monotonic() < deadline, self.text
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, wait_s: float) -> bool:
        """False at the end of the program."""
        if not select.select([self._ours], [], [], wait_s)[0]:
            return True
        try:
            octets = os.read(self._ours, 65536)
        except OSError:  # Linux: the other end is closed
            return False
        self._stream.feed(octets)
        return bool(octets)


@contextmanager
def terminal(
    command: Sequence[str], cwd: Path, *, columns: int = 100, rows: int = 24, **environ: str
) -> Iterator[Terminal]:
    opened = Terminal(command, cwd, columns, rows, **environ)
    try:
        yield opened
    finally:
        opened.close()
