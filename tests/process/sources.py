"""The ``sources`` command as a process, and its options as data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import typer

from sources_cli.commands import app
from tests.deadline import DEADLINE_S
from tests.process import forked

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"
COMMAND = [sys.executable, "-m", "sources_cli"]
ENVIRON = {"PYTHONPATH": str(ROOT)}
Ended = subprocess.CompletedProcess[str]


def sources(
    *arguments: str | Path, cwd: Path = ROOT, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end. It finds kinds below ``cwd``."""
    return forked.run([*map(str, arguments)], cwd, environ, stdin, timeout_s=DEADLINE_S)


@contextmanager
def running(*arguments: str | Path, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """``sources run`` in the background, with the kinds below ``cwd``.

    It is killed at the end, or after ``2 * DEADLINE_S``.

    ``cwd``: default an empty directory, so that no checkpoint of another run is found.
    """
    words = [*COMMAND, "run", *map(str, arguments)]
    environ, pipe = os.environ | ENVIRON, subprocess.PIPE
    with TemporaryDirectory() as empty:
        process = subprocess.Popen(words, cwd=cwd or empty, env=environ, stdout=pipe, stderr=pipe, text=True, bufsize=1)
        deadline = threading.Timer(2 * DEADLINE_S, process.kill)
        deadline.start()
        try:
            yield process
        finally:
            deadline.cancel()
            process.kill()
            process.communicate()


def read_until(process: subprocess.Popen[str], pattern: str, *, stream: str = "stdout") -> str:
    """All lines up to the first one that matches; the deadline is that of ``running``."""
    seen = ""
    while line := getattr(process, stream).readline():
        seen += line
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"no line matched {pattern!r} in: {seen}")


def children(pid: int) -> list[int]:
    """The ids of the child processes, on Linux."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def interrupted(process: subprocess.Popen[str], seen: str = "", *, stream: str = "stdout") -> Ended:
    """Sends Ctrl-C and waits for the end. ``seen``: the lines of ``stream`` that were read before."""
    process.send_signal(signal.SIGINT)
    output, errors = (getattr(process, name).read() for name in ("stdout", "stderr"))
    if stream == "stdout":
        output = seen + output
    else:
        errors = seen + errors
    return subprocess.CompletedProcess(process.args, process.wait(), output, errors)


def run_until(pattern: str, *arguments: str | Path, stream: str = "stdout", cwd: Path = ROOT) -> Ended:
    """``sources run`` until a line matches, then Ctrl-C."""
    with running(*arguments, cwd=cwd) as process:
        return interrupted(process, read_until(process, pattern, stream=stream), stream=stream)


def quickstart_with(directory: Path, old: str, new: str) -> Path:
    """A copy of the quickstart in which ``old`` is replaced with ``new``."""
    text = QUICKSTART.read_text()
    assert old in text
    file = directory / "edited.yaml"
    file.write_text(text.replace(old, new))
    return file


def source_without_sink(directory: Path) -> Path:
    """The source of the quickstart, without the Service that it sends to."""
    file = directory / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    return file


class Option(NamedTuple):
    command: str
    name: str  # the long form of an option, or the placeholder of an argument
    default: str  # as the help shows it; empty if there is none
    meaning: str


def options() -> list[Option]:
    """All arguments and options of all commands, in the order of the help."""
    commands = cast(Any, typer.main.get_command(app)).commands
    return [_option(name, parameter) for name, command in commands.items() for parameter in command.params]


def _option(command: str, parameter: Any) -> Option:
    name = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    return Option(command, name, "" if default in (None, False) else str(default), parameter.help)


def write_kind(directory: Path, *fields: str, name: str = "TinySource", file: str = "tiny_source.py") -> Path:
    lines = [
        "from adapter.sdk import *",
        f"class {name}(Timer):",
        '    """A tiny kind."""',
        *(f"    {field}" for field in fields),
    ]
    (directory / "kinds").mkdir(exist_ok=True)
    (directory / "kinds" / file).write_text("\n".join([*lines, "    def tick(self, n): return Event(type='a')", ""]))
    return directory / "kinds" / file
