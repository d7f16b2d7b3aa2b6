"""What idle adapters cost: one process, and many side by side. Beside each: the smallest program that posts an event.

Each process sends one event, then nothing is due for an hour. All figures are those of all processes divided by their
number. ``private`` and ``anonymous`` memory is not shared with other processes. ``working set`` is what the kubelet
reports for a pod: the memory of the control group without inactive pages of files; it needs root. ``--count N``,
``--seconds S``. ``AGAINST=DIRECTORY`` also measures the adapter of another checkout, as ``previous``.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.bench.bench_adapter import (
    PROGRAMS,
    SETTLE_S,
    Figures,
    Program,
    Sink,
    cpu_model,
    cpu_s,
    created,
    memory_mib,
    process,
    switches_of,
)
from tests.process.cgroup import MIB, ROOT, version_at

MOST_MIB = 64  # of one process, to check whether the machine has enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="processes side by side; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="without work; default: %(default)g")
    options = parser.parse_args()
    if available_mib() < options.count * MOST_MIB:
        sys.exit(f"{options.count} processes need {options.count * MOST_MIB} MiB; {available_mib():.0f} are available")
    print(f"{cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    print(f"MiB, and CPU and wake-ups in {options.seconds:.0f} s, of each process")
    for count in sorted({1, options.count}):
        for name, program in PROGRAMS.items():
            figures = idle(program, count, options.seconds)
            print(f"{count:4} {name:9}", *(f"{what} {value:.1f}" for what, value in figures.items()), sep="  ")


def idle(program: Program, count: int, seconds: float) -> Figures:
    sink = Sink()
    with group() as directory, ExitStack() as stack:
        children: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            own = {"INTERVAL": "1h", "SOURCE_UID": "u", "SOURCE_CREATED": created(tick_in_s=-5, interval="1h")}
            enter = partial((directory / "cgroup.procs").write_text, "0") if directory else None  # 0: the writer
            children.append(stack.enter_context(process(sink, program, enter, **own)))
            sink.next()
        time.sleep(SETTLE_S)
        pids = [child.pid for child in children]
        before = [sum(map(cpu_s, pids)), sum(map(switches_of, pids))]
        time.sleep(seconds)
        used = sum(map(cpu_s, pids)) - before[0], sum(map(switches_of, pids)) - before[1]
        memory = [memory_mib(pid, "") for pid in pids]
        figures = {name.split()[0]: sum(each[name] for each in memory) / count for name in memory[0]}
        if directory:
            figures["working set"] = working_set_mib(directory) / count
        return figures | {"CPU ms": used[0] * 1e3 / count, "wake-ups": used[1] / count}


@contextmanager
def group() -> Iterator[Path | None]:
    """The directory of a new control group for memory; None if none can be created."""
    version = version_at(ROOT)
    directory = version.parent / f"sample-source-{uuid.uuid4().hex[:8]}"
    try:
        if version.parent == ROOT:
            (ROOT / "cgroup.subtree_control").write_text("+memory")
        directory.mkdir()
    except OSError:
        yield None
        return
    try:
        yield directory
    finally:
        while (directory / "cgroup.procs").read_text():
            time.sleep(0.05)
        directory.rmdir()


def working_set_mib(directory: Path) -> float:
    """As cAdvisor computes it. The names are those of version 2, then of version 1."""
    fields = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
    inactive = fields.get("total_inactive_file", fields["inactive_file"])
    usage = next(file for name in ("memory.current", "memory.usage_in_bytes") if (file := directory / name).exists())
    return (int(usage.read_text()) - int(inactive)) / MIB


def available_mib() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024


if __name__ == "__main__":
    main()
