"""The figures of a run as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.bench.scale.scenario import MARKS, OF_ONE, Phase

PROCESSES = (
    "metacontroller",
    "hook",
    "pool",
    "kube-apiserver",
    "etcd",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
)
READS = ("get", "list", "watch")


def table(hook: str, n: int, phases: Sequence[Phase]) -> str:
    lines = [
        f"\n{hook}: {n} sources",
        "seconds until this part of the sources had followed; calls and requests per source",
    ]
    lines += _aligned(_times(n, phases))
    for title, figures in (("CPU seconds", "cpu_s"), ("RSS at the end of the phase, MiB", "rss_mib")):
        rows = [
            [phase.name, *(f"{getattr(phase, figures).get(name, 0):.1f}" for name in PROCESSES)] for phase in phases
        ]
        lines += ["", title, *_aligned([["", *PROCESSES], *rows])]
    lines += ["", "requests of Metacontroller to the API server per source"]
    for phase in phases:
        parts = [f"{what} {count / n:.2f}" for what, count in phase.requests.items() if count >= n / 20]
        lines.append(f"{phase.name}: {', '.join(parts) or 'none'}")
    return "\n".join(lines)


def writes(phase: Phase) -> int:
    return sum(count for what, count in phase.requests.items() if what.split()[0] not in READS)


def _times(n: int, phases: Sequence[Phase]) -> Iterator[list[str]]:
    yield ["", *MARKS, "last call", "syncs", "customizes", "writes"]
    for phase in phases:
        sources = 1 if phase.name in OF_ONE else n
        marks = [f"{phase.marks_s[mark]:.1f}" if mark in phase.marks_s else "-" for mark in MARKS]
        calls = [f"{phase.calls.get(hook, 0) / sources:.2f}" for hook in ("sync", "customize")]
        yield [phase.name, *marks, f"{phase.settled_s:.1f}", *calls, f"{writes(phase) / sources:.2f}"]


def _aligned(rows: Iterator[list[str]] | list[list[str]]) -> list[str]:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
