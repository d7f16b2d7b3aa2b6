"""Processes with the memory limit of a pod: a control group of the kernel, version 2 or 1. Needs root.

``python -m tests.process.cgroup PROCS MODULE ARGUMENT...`` enters a group and then becomes ``python -m MODULE``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process.harness import Process, Start, processes, wait_until

ROOT = Path("/sys/fs/cgroup")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Version:
    """Names of files. ``limits`` sets the limit of memory, and that of memory and swap; the last one may be missing."""

    parent: Path
    peak: str
    events: str  # holds a line with the number of killed processes
    limits: tuple[tuple[str, int], ...]  # file, and factor of the limit


def version_at(root: Path) -> Version:
    """Version 2 has the file ``cgroup.controllers`` at the root; the mixed form of both has it in a directory."""
    if (root / "cgroup.controllers").exists():
        return Version(root, "memory.peak", "memory.events", (("memory.max", 1), ("memory.swap.max", 0)))
    limits = ("memory.limit_in_bytes", 1), ("memory.memsw.limit_in_bytes", 1)
    return Version(root / "memory", "memory.max_usage_in_bytes", "memory.oom_control", limits)


@dataclass(frozen=True)
class Group:
    """``start`` starts a process whose memory, and that of its children, counts against the limit."""

    start: Start
    directory: Path
    version: Version

    def peak_mib(self) -> float:
        """The highest memory of all processes together so far, with their part of the page cache."""
        return int((self.directory / self.version.peak).read_text()) / MIB

    def pids(self) -> list[str]:
        return (self.directory / "cgroup.procs").read_text().split()

    def killed(self) -> int:
        """How many processes the kernel has killed because the group was out of memory."""
        lines = (self.directory / self.version.events).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def set_limits(directory: Path, version: Version, mib: int) -> None:
    for name, factor in version.limits:
        if (directory / name).exists():
            (directory / name).write_text(str(mib * MIB * factor))


@contextmanager
def memory_limit(mib: int = 128) -> Iterator[Group]:
    """A group with the limit of an adapter's pod, without swap. Skips the test if it cannot be created."""
    version = version_at(ROOT)
    directory = version.parent / f"sample-source-{uuid.uuid4().hex[:8]}"
    try:
        if version.parent == ROOT:
            (ROOT / "cgroup.subtree_control").write_text("+memory")
        directory.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup with a memory limit can be created here: {error}")
    try:
        if not (directory / version.peak).exists():
            pytest.skip(f"this kernel does not report {version.peak}; Linux 5.19 does")
        set_limits(directory, version, mib)
        with processes() as start:

            def start_inside(*arguments: str, **environ: str) -> Process:
                return start("tests.process.cgroup", str(directory / "cgroup.procs"), *arguments, **environ)

            yield Group(start_inside, directory, version)
    finally:
        wait_until(lambda: _removed(directory), f"{directory} removed", (directory / "cgroup.procs").read_text)


def _removed(directory: Path) -> bool:
    """Kill the children of killed processes, and remove the group once the kernel has forgotten them."""
    for pid in (directory / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(str(os.getpid()))
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
