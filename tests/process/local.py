"""``sources run`` as a process, and what it has said so far."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"
SOURCES = [sys.executable, "-m", "sources_cli", "run"]


def sources_run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*SOURCES, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def edited(directory: Path, old: str, new: str) -> Path:
    text = QUICKSTART.read_text()
    assert old in text
    file = directory / "edited.yaml"
    file.write_text(text.replace(old, new))
    return file


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*SOURCES, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    deadline = threading.Timer(60, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], pattern: str, *, stream: str = "stdout") -> str:
    """Everything up to the line that matches; the timer of ``running`` is the deadline."""
    seen = ""
    while line := getattr(process, stream).readline():
        seen += line
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"no line matched {pattern!r} in: {seen}")
