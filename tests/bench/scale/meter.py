"""CPU time and memory of the processes, calls of the hook, and the requests that Metacontroller sends."""

from __future__ import annotations

import os
import re
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import metacontroller
from tests.cluster.control_plane import ControlPlane

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
USER = f"system:serviceaccount:{metacontroller.NAMESPACE}:{metacontroller.ACCOUNT}"
# One counter for each hook of a CompositeController.
CALLS = re.compile(r"^metacontroller_(sync|customize)_requests_total\{.*\} (\S+)$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """``cpu_s``: seconds since the start of each program. ``calls``: of each webhook. ``audit``: a position."""

    cpu_s: Mapping[str, float]
    rss_mib: Mapping[str, float]
    calls: Mapping[str, int]
    audit: int


class Meter:
    """``processes``: names and ids of the running processes; a program that restarts has another id.

    ``metrics_urls``: where Metacontroller counts its calls; empty while it does not run.
    """

    def __init__(
        self,
        plane: ControlPlane,
        processes: Callable[[], Mapping[str, int]],
        metrics_urls: Callable[[], Mapping[str, str]],
    ) -> None:
        self._plane = plane
        self._processes = processes
        self._metrics_urls = metrics_urls
        self._cpu: dict[tuple[str, int], float] = {}
        self._calls: dict[str, Counter[str]] = {}

    def read(self) -> Reading:
        """Call it also before a process is stopped: what it used is then kept."""
        running = self._processes()
        for name, pid in running.items():
            self._cpu[name, pid] = cpu_s(pid)
        cpu = {name: sum(used for (of, _), used in self._cpu.items() if of == name) for name, _ in self._cpu}
        rss = {name: rss_mib(pid) for name, pid in running.items()}
        return Reading(cpu, rss, self.calls(), self._plane.audit_position())

    def calls(self) -> Mapping[str, int]:
        for process, url in self._metrics_urls().items():
            with urllib.request.urlopen(url, timeout=60) as response:
                found = CALLS.findall(response.read().decode())
            counts: Counter[str] = Counter()
            for hook, value in found:
                counts[hook.lower()] += int(float(value))
            self._calls[process] = counts
        return sum(self._calls.values(), Counter())

    def requests(self, before: Reading) -> dict[str, int]:
        """The requests of Metacontroller to the API server since ``before``, by verb and resource."""
        found: Counter[str] = Counter()
        for entry in self._plane.audit(before.audit):
            about = entry.get("objectRef", {})
            if entry["user"]["username"] == USER and about:
                resource = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
                found[f"{entry['verb']} {resource}"] += 1
        return dict(found.most_common())


def cpu_s(pid: int) -> float:
    """User and system time, also of threads that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
