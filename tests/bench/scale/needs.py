"""What 1,000 more sources need, from the committed results: ``.venv/bin/python -m tests.bench.scale.needs``.

Writes the tables of docs/how-many-sources.md, and prints each cost per source that grows with the number of sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from adapter.contract.formats import Json
from hooks.pod_settings.quantities import parse
from hooks.pod_settings.resources import REQUESTS
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
    PAGE.write_text(filled(PAGE.read_text(), runs))
    print(*bends(runs), sep="\n")


def filled(page: str, runs: Sequence[Run]) -> str:
    """The page with the tables of these runs between its markers ``<!-- measured: TABLE -->`` and ``<!-- end -->``."""
    for name, lines in {"memory": memory(runs), "cpu": cpu(runs[-1]), "nodes": nodes()}.items():
        marker = f"<!-- measured: {name} -->\n"
        before, found, rest = page.partition(marker)
        if not found:
            raise ValueError(f"{PAGE.name} has no {marker.strip()}")
        text = "\n".join(lines)
        page = f"{before}{marker}{text}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return page


def memory(runs: Sequence[Run]) -> Iterator[str]:
    """The most that each process had in a run. The slope is that between the smallest and the largest run."""
    yield _row("memory, MiB", *(f"{run.n:,} sources" for run in runs), f"each {PER:,} more")
    yield _line(len(runs) + 2)
    first, last = runs[0], runs[-1]
    for process in PROCESSES:
        most = [max(phase.rss_mib.get(process, 0) for phase in run.hooks["hook"].values()) for run in runs]
        slope = (most[-1] - most[0]) / (last.n - first.n) * PER if last.n > first.n else None
        yield _row(process, *(f"{each:.0f}" for each in most), "unknown" if slope is None else f"{slope:.0f}")


def cpu(run: Run) -> Iterator[str]:
    """Seconds of one core. A phase without a change is per second of the clock, not per source."""
    phases = {name: phase for name, phase in run.hooks["hook"].items() if name != "idle"}
    yield _row(f"CPU seconds per {PER:,} sources, measured with {run.n:,}", *phases)
    yield _line(len(phases) + 1)
    for process in (*PROCESSES, TOTAL):
        yield _row(process, *(f"{per_source(phase, run.n)[process] * PER:.0f}" for phase in phases.values()))


def nodes() -> Iterator[str]:
    """What the default requests of adapters reserve."""
    cores, octets = (float(parse(REQUESTS[name])) * PER for name in ("cpu", "memory"))
    yield _row(f"{PER:,} adapter pods", "need")
    yield _line(2)
    yield _row("CPU that they request", f"{cores:.0f} cores")
    yield _row("memory that they request", f"{octets / 2**30:.0f} GiB")
    yield _row(f"nodes, with {PODS_PER_NODE} pods each", f"{-(-PER // PODS_PER_NODE)}")


def bends(runs: Sequence[Run]) -> Iterator[str]:
    """One line for each cost per source of a phase that is higher with more sources."""
    found = [line for lower, higher in pairwise(runs) for line in grown(lower, higher)]
    yield f"Costs per source that grow by more than {GROWTH - 1:.0%} with the number of sources:"
    if len(runs) < 2:
        found = [f"unknown: only the result of {runs[0].n} sources exists"]
    yield from (f"- {line}" for line in found or ["none"])


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


def _line(columns: int) -> str:
    return f"|{'---|' * columns}"


def _row(*cells: Json) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
