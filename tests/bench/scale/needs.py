"""What 1,000 more sources need, from the committed results: ``.venv/bin/python -m tests.bench.scale.needs``.

Writes the tables of docs/how-many-sources.md, and prints each cost per source that grows with the number of sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from hooks.pod_settings.quantities import parse
from hooks.pod_settings.resources import REQUESTS
from tests.bench.scale.markdown import line, row, with_tables
from tests.bench.scale.results import Run, published
from tests.bench.scale.scenario import Phase
from tests.bench.scale.table import PROCESSES, writes

PAGE = Path(__file__).resolve().parents[3] / "docs/how-many-sources.md"
PER = 1000  # sources
PODS_PER_NODE = 110  # the default of the kubelet
GROWTH = 1.25  # a cost per source that is more than this times the one of fewer sources is a bend
LEAST_SHARE = 0.05  # of the CPU time of a phase: below it, a process is not compared
TOTAL = "all processes"


def main() -> None:
    runs = published()
    PAGE.write_text(with_tables(PAGE, tables(runs)))
    print(*bends(runs), sep="\n")


def tables(runs: Sequence[Run]) -> dict[str, list[str]]:
    return {"memory": [*memory(runs)], "cpu": [*cpu(runs[-1])], "nodes": [*nodes()]}


def memory(runs: Sequence[Run]) -> Iterator[str]:
    """The most that each process had in a run. The slope is that between the smallest and the largest run."""
    yield row("memory, MiB", *(f"{run.n:,} sources" for run in runs), f"each {PER:,} more")
    yield line(len(runs) + 2)
    first, last = runs[0], runs[-1]
    for process in PROCESSES:
        most = [max(phase.rss_mib.get(process, 0) for phase in run.hooks["hook"].values()) for run in runs]
        slope = (most[-1] - most[0]) / (last.n - first.n) * PER if last.n > first.n else None
        yield row(process, *(f"{each:.0f}" for each in most), "unknown" if slope is None else f"{slope:.0f}")


def cpu(run: Run) -> Iterator[str]:
    """Seconds of one core. A phase without a change is per second of the clock, not per source."""
    phases = {name: phase for name, phase in run.hooks["hook"].items() if name != "idle"}
    yield row(f"CPU seconds per {PER:,} sources, measured with {run.n:,}", *phases)
    yield line(len(phases) + 1)
    for process in (*PROCESSES, TOTAL):
        yield row(process, *(f"{per_source(phase, run.n)[process] * PER:.0f}" for phase in phases.values()))


def nodes() -> Iterator[str]:
    """What the default requests of adapters reserve."""
    cores, octets = (float(parse(REQUESTS[name])) * PER for name in ("cpu", "memory"))
    yield row(f"{PER:,} adapter pods", "need")
    yield line(2)
    yield row("CPU that they request", f"{cores:.0f} cores")
    yield row("memory that they request", f"{octets / 2**30:.0f} GiB")
    yield row(f"nodes, with {PODS_PER_NODE} pods each", f"{-(-PER // PODS_PER_NODE)}")


def bends(runs: Sequence[Run]) -> Iterator[str]:
    """One line for each cost per source of a phase that is higher with more sources."""
    found = [each for lower, higher in pairwise(runs) for each in grown(lower, higher)]
    yield f"Costs per source that grow by more than {GROWTH - 1:.0%} with the number of sources:"
    if len(runs) < 2:
        found = [f"unknown: only the result of {runs[0].n} sources exists"]
    yield from (f"- {each}" for each in found or ["none"])


def grown(lower: Run, higher: Run) -> Iterator[str]:
    for hook, phases in higher.hooks.items():
        for name, phase in phases.items():
            before = lower.hooks.get(hook, {}).get(name)
            if before is None or name == "idle":
                continue
            old, new = per_source(before, lower.n), per_source(phase, higher.n)
            for what in [each for each in new if each in old]:
                if new[what] > GROWTH * old[what] > 0 and _counts(what, new):
                    values = f"{old[what] * PER:.1f} → {new[what] * PER:.1f} per {PER:,}"
                    times = f"{new[what] / old[what]:.2f} times"
                    yield f"{hook}, {name}, {what}: {times} ({values}), {lower.n:,} → {higher.n:,}"


def per_source(phase: Phase, n: int) -> dict[str, float]:
    """CPU seconds of each process and of all, calls of the sync hook, and writes."""
    cpu_s = {process: used / n for process, used in phase.cpu_s.items()}
    return {**cpu_s, TOTAL: sum(cpu_s.values()), "syncs": phase.calls.get("sync", 0) / n, "writes": writes(phase) / n}


def _counts(what: str, costs: Mapping[str, float]) -> bool:
    return what not in PROCESSES or costs[what] >= LEAST_SHARE * costs[TOTAL]


if __name__ == "__main__":
    main()
