"""``make soak MINUTES=20``: hook, adapter and pool under load. Memory and open files must not grow.

The load is that of many hours: sources come, change and go; the sink fails, is away, is silent, closes and resets
connections; tokens and ConfigMaps change. Exit code 1 if a program leaks, needs CPU time without work, or fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.soak.analysis import MEMORY_MIB, files, memory, problems
from tests.soak.run import ROOT, SETTLE_S, Plan, Result, soak
from tests.soak.sampler import Sample

LEAST_MINUTES = 3.0
IDLE_S = 10.0
MIB = 1024 * 1024


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="at least 3; default: %(default)g")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "soak.json", help="the file for the samples")
    options = parser.parse_args(arguments)
    if options.minutes < LEAST_MINUTES:
        parser.error(f"--minutes is {options.minutes:g}; write at least {LEAST_MINUTES:g}")
    plan = plan_of(options.minutes)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}; {plan.warm_up_s:.0f} s of warm-up, {plan.load_s:.0f} s of load", flush=True)
    try:
        result = asyncio.run(soak(plan))
    except AssertionError as error:
        print(f"failed: {error}")
        return 1
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(asdict(result)))
    return report(result, plan)


def plan_of(minutes: float) -> Plan:
    all_s = minutes * 60
    warm_up_s = min(max(60.0, all_s / 5), 240.0)
    return Plan(warm_up_s, all_s - warm_up_s - SETTLE_S - IDLE_S, IDLE_S)


def report(result: Result, plan: Plan) -> int:
    """Prints a table and what is wrong; returns the exit code."""
    minutes, failed = plan.load_s / 60, False
    print("program    memory MiB   MiB/min   files   files/min   CPU    CPU idle")
    for name, taken in result.samples.items():
        samples = [each for each in taken if each.at_s >= plan.warm_up_s]
        print(line(name, samples, result.idle[name]))
        for problem in problems(samples, result.idle[name]):
            failed = True
            print(f"  {name} {problem}")
    print(", ".join(f"{count} {name}" for name, count in result.done.items()))
    least = max(MEMORY_MIB.per_min, MEMORY_MIB.in_all / minutes)
    found = ", ".join(f"{least * MIB / rate:.0f} bytes for each of {name}" for name, rate in result.per_min.items())
    print(f"a leak of {least:.2f} MiB per minute fails this run: {found}")
    return int(failed)


def line(name: str, samples: Sequence[Sample], idle_cpu: float) -> str:
    first, last = samples[0], samples[-1]
    of_memory, of_files = memory(samples), files(samples)
    cpu = (last.cpu_s - first.cpu_s) / (last.at_s - first.at_s)
    return (
        f"{name:10} {last.memory_mib:10.1f} {of_memory.per_min:9.3f} {last.files:7} {of_files.per_min:11.2f} "
        f"{cpu:7.1%} {idle_cpu:8.1%}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
