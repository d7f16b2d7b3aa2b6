"""``make bench-scale N=100``: what N sources cost, on the control plane of the cluster tests. No adapter runs.

Runs the hook, then the trivial hook, each with a new control plane. With ``--hooks pool``: the hook and the process of
a SourcePool. Prints a table for each, and writes all as JSON.
CPU time is firm on a machine that does other work, too; times on the clock are upper bounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metacontroller.generate.values import TUNED_FLAGS
from tests.bench.scale.pool import RunningPool
from tests.bench.scale.scenario import NAMESPACE, OF_HOOK, PHASES, Phase, Scenario, wait_for_hook
from tests.bench.scale.table import table
from tests.cluster import build
from tests.cluster.local_cluster import KIND, LocalCluster, cluster_with_hook, control_plane_with
from tests.process.harness import Process, free_port

HOOKS = ("hook", "trivial", "pool")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("-n", type=int, default=100, help="how many sources; default: %(default)s")
    parser.add_argument("--phases", default=",".join(PHASES), help="default: %(default)s")
    parser.add_argument("--hooks", default="hook,trivial", help=f"of {', '.join(HOOKS)}; default: %(default)s")
    parser.add_argument(
        "--flags", default=" ".join(TUNED_FLAGS), help="of Metacontroller, separated by spaces; default: %(default)s"
    )
    parser.add_argument("--json", type=Path, default=None, help="the file to write; default: build/scale-N.json")
    options = parser.parse_args(arguments)
    phases, hooks = options.phases.split(","), options.hooks.split(",")
    if unknown := [*({*phases} - {*PHASES}), *({*hooks} - {*HOOKS})]:
        parser.error(f"unknown: {', '.join(unknown)}; phases are {', '.join(PHASES)}; hooks are {', '.join(HOOKS)}")
    report = {"n": options.n, "flags": options.flags.split(), "machine": machine(), "hooks": {}}
    for hook in hooks:
        wanted = [phase for phase in phases if phase in OF_HOOK[hook]]
        found = list(measured(hook, options.n, wanted, options.flags.split()))
        report["hooks"][hook] = [asdict(phase) for phase in found]
        print(table(hook, options.n, found), flush=True)
    report["machine"]["load_at_end"] = load()
    file = options.json or Path(f"build/scale-{options.n}.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {file}")
    return 0


def measured(hook: str, n: int, phases: Sequence[str], flags: Sequence[str]) -> Iterator[Phase]:
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as directory, ExitStack() as stack:
        plane = stack.enter_context(control_plane_with([KIND], build.built(), Path(directory) / "plane"))
        (Path(directory) / "cluster").mkdir()
        cluster = stack.enter_context(cluster_with_hook(plane, Path(directory) / "cluster"))
        pool = RunningPool(cluster, NAMESPACE) if hook == "pool" else None
        scenario = Scenario(cluster, starter(cluster, hook, pool), n, flags, pool)
        scenario.start()
        for phase in phases:
            print(f"{datetime.now(UTC):%H:%M:%S} {hook}: {phase}, {n} sources", file=sys.stderr, flush=True)
            yield scenario.run(phase)


def starter(cluster: LocalCluster, hook: str, pool: RunningPool | None) -> Any:
    """Starts the hook on the port that Metacontroller calls. The proxy of the tests would cost more than the hook."""
    port = free_port()
    cluster.hook_proxy.url = f"http://127.0.0.1:{port}"
    own = ("uvicorn", "tests.bench.scale.trivial_hook:app", "--port", str(port), "--http", "httptools",
           "--no-access-log", "--log-level", "error", "--timeout-keep-alive", "120")  # fmt: skip

    def start() -> Process:
        if hook == "trivial":
            return wait_for_hook(cluster.start(*own), port)
        cluster.start_hook(port, **(pool.environ if pool else {}))
        return cluster.hooks[-1]

    return start


def machine() -> dict[str, Any]:
    """What the figures depend on. No name of the machine, no path."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": cpu.partition(":")[2].strip() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_at_start": load(),
    }


def load() -> float:
    """The average of the last minute."""
    return round(os.getloadavg()[0], 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
