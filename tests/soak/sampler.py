"""What a process uses, from ``/proc``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """``memory_mib``: anonymous memory; pages of files are shared, and the kernel may drop them.

    ``at_s`` has any origin. ``cpu_s``: of all threads since the start.
    """

    at_s: float
    memory_mib: float
    files: int
    cpu_s: float


def sample(pid: int, at_s: float) -> Sample:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    anonymous_kib = next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
    return Sample(at_s, anonymous_kib / 1024, len(os.listdir(f"/proc/{pid}/fd")), cpu_s(pid))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
