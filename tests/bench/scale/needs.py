"""What 1,000 more sources need, from the committed results: ``.venv/bin/python -m tests.bench.scale.needs``.

Writes the tables of docs/how-many-sources.md and the results of docs/scale.md. Prints each cost per source that grows
with the number of sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from hooks.pod_settings.quantities import parse
from hooks.pod_settings.resources import REQUESTS
from tests.bench.scale.markdown import line, row, with_tables
from tests.bench.scale.results import Run, published
from tests.bench.scale.scenario import OF_ONE, Phase
from tests.bench.scale.table import PROCESSES, writes

PAGE = Path(__file__).resolve().parents[3] / "docs/how-many-sources.md"
RESULTS_PAGE = PAGE.with_name("scale.md")
NAMES = {
    "create": "create, until all are ready",
    "idle": "30 s without a change",
    "edit": "edit all",
    "port": "change the port of the sink",
    "restart-metacontroller": "Metacontroller restarts",
    "restart-hook": "edit all while the hook is away, then start it",
    "edit-one": "edit one of them",
    "delete-one": "delete one of them",
    "delete": "delete all",
}
OF_CLUSTER = [process for process in PROCESSES if process != "kwok"]  # kwok takes the place of kubelets
NOT_PER_SOURCE = ("idle", *OF_ONE)
PER = 1000  # sources
PODS_PER_NODE = 110  # the default of the kubelet
GROWTH = 1.25  # a cost per source that is more than this times the one of fewer sources is a bend
LEAST_SHARE = 0.05  # of the CPU time of a phase: below it, a process is not compared
TOTAL = "all processes"


def main() -> None:
    runs = published()
    PAGE.write_text(with_tables(PAGE, tables(runs)))
    RESULTS_PAGE.write_text(with_tables(RESULTS_PAGE, results_tables(runs)))
    print(*bends(runs), sep="\n")


def tables(runs: Sequence[Run]) -> dict[str, list[str]]:
    of_hooks = {
        f"{name} of {hook}": [*table(measured(runs, hook), hook)]
        for hook in ("hook", "pool")
        for name, table in (("memory", memory), ("cpu", cpu))
    }
    return {**of_hooks, "nodes": [*nodes()]}


def results_tables(runs: Sequence[Run]) -> dict[str, list[str]]:
    return {f"results of {hook}": [*results(measured(runs, hook), hook)] for hook in ("hook", "trivial", "pool")}


def results(runs: Sequence[Run], hook: str) -> Iterator[str]:
    """One row for each phase and run. Calls and writes are those per source, or of the one source that changes."""
    if not runs:
        yield "Not measured yet."
        return
    heads = ("phase", "sources", "50 % after", "100 % after", "syncs", "writes", "CPU hook", "CPU Metacontroller")
    yield row(*heads, "CPU API server", "CPU pool") if hook == "pool" else row(*heads, "CPU API server")
    yield line(len(heads) + (2 if hook == "pool" else 1))
    for name, text in NAMES.items():
        for run in runs:
            if phase := run.hooks[hook].get(name):
                yield row(text, f"{run.n:,}", *_results(phase, 1 if name in OF_ONE else run.n, hook))


def _results(phase: Phase, sources: int, hook: str) -> Iterator[str]:
    for mark in ("50 %", "100 %"):
        yield f"{phase.marks_s[mark]:.1f} s" if mark in phase.marks_s else ""
    yield f"{phase.calls.get('sync', 0) / sources:.2f}"
    yield f"{writes(phase) / sources:.2f}"
    for process in ("hook", "metacontroller", "kube-apiserver", *(["pool"] if hook == "pool" else [])):
        yield f"{phase.cpu_s.get(process, 0):.1f} s"


def measured(runs: Sequence[Run], hook: str) -> list[Run]:
    return [run for run in runs if hook in run.hooks]


def memory(runs: Sequence[Run], hook: str) -> Iterator[str]:
    """What each process has when all sources are ready, and the most that it had at the end of a phase.

    The slope: between the smallest and the largest run. The most: in the run with the most phases.
    """
    if not runs:
        yield "Not measured yet."
        return
    longest = max(runs, key=lambda run: (len(run.hooks[hook]), run.n))
    heads = (f"{run.n:,} sources" for run in runs)
    yield row("memory, MiB", *heads, f"each {PER:,} more", f"at most, {longest.n:,} sources")
    yield line(len(runs) + 3)
    for process in OF_CLUSTER:
        ready = [run.hooks[hook]["create"].rss_mib.get(process, 0) for run in runs]
        more = runs[-1].n - runs[0].n
        slope = f"{(ready[-1] - ready[0]) / more * PER:.0f}" if more else "unknown"
        most = max(phase.rss_mib.get(process, 0) for phase in longest.hooks[hook].values())
        if any(ready):
            yield row(process, *(f"{each:.0f}" for each in ready), slope, f"{most:.0f}")


def cpu(runs: Sequence[Run], hook: str) -> Iterator[str]:
    """Seconds of one core, each phase in the largest run that has it."""
    if not runs:
        yield "Not measured yet."
        return
    largest = {name: (run.n, phase) for run in runs for name, phase in run.hooks[hook].items()}
    costs = {name: per_source(largest[name][1], largest[name][0]) for name in NAMES if name in largest}
    costs = {name: cost for name, cost in costs.items() if name not in NOT_PER_SOURCE}
    yield row(f"CPU seconds per {PER:,} sources", *(f"{name}, {largest[name][0]:,}" for name in costs))
    yield line(len(costs) + 1)
    for process in (*OF_CLUSTER, TOTAL):
        if any(process in each for each in costs.values()):
            yield row(process, *(f"{each.get(process, 0) * PER:.0f}" for each in costs.values()))


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
            if before is None or name in NOT_PER_SOURCE:
                continue
            old, new = per_source(before, lower.n), per_source(phase, higher.n)
            for what in [each for each in new if each in old]:
                if new[what] > GROWTH * old[what] > 0 and _counts(what, new):
                    values = f"{old[what] * PER:.1f} → {new[what] * PER:.1f} per {PER:,}"
                    times = f"{new[what] / old[what]:.2f} times"
                    yield f"{hook}, {name}, {what}: {times} ({values}), {lower.n:,} → {higher.n:,}"


def per_source(phase: Phase, n: int) -> dict[str, float]:
    """CPU seconds of each process and of all, calls of the sync hook, and writes."""
    cpu_s = {process: used / n for process, used in phase.cpu_s.items() if process in OF_CLUSTER}
    return {**cpu_s, TOTAL: sum(cpu_s.values()), "syncs": phase.calls.get("sync", 0) / n, "writes": writes(phase) / n}


def _counts(what: str, costs: Mapping[str, float]) -> bool:
    return what not in PROCESSES or costs[what] >= LEAST_SHARE * costs[TOTAL]


if __name__ == "__main__":
    main()
