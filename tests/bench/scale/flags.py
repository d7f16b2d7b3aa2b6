"""The flags of Metacontroller compared: ``.venv/bin/python -m tests.bench.scale.flags``. It takes half an hour.

Each pass runs all flags one after the other, so other work on the machine disturbs all of them. The table of
docs/scale.md has the best of the passes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metacontroller.generate.values import FLAGS
from tests.bench.scale.__main__ import load, measured
from tests.bench.scale.markdown import line, row, with_tables
from tests.bench.scale.results import RESULTS
from tests.bench.scale.scenario import Phase

PAGE = Path(__file__).resolve().parents[3] / "docs/scale.md"
FILE = RESULTS / "flags.json"
PHASES = ("create", "edit")
# Requests per second, and workers.
GRID = ((100, 10), (5, 5), (500, 50), (50, 10), (200, 20), (500, 10), (100, 5), (100, 20))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=60, help="how many sources; default: %(default)s")
    parser.add_argument("--passes", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args(arguments)
    results = []
    for _ in range(options.passes):
        for qps, workers in GRID:
            results.append(
                result(options.n, qps, workers, list(measured("hook", options.n, PHASES, flags(qps, workers))))
            )
            FILE.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(with_tables(PAGE, {"flags": table(results)}))
    return 0


def flags(qps: int, workers: int) -> list[str]:
    return [*FLAGS, f"--client-go-qps={qps}", f"--client-go-burst={2 * qps}", f"--workers={workers}"]


def result(n: int, qps: int, workers: int, phases: Sequence[Phase]) -> dict[str, Any]:
    return {
        "n": n,
        "qps": qps,
        "workers": workers,
        "load": load(),
        "phases": {
            phase.name: {
                "all_s": phase.marks_s["100 %"],
                "syncs": phase.calls["sync"],
                "cpu_s": phase.cpu_s,
                "rss_mib": phase.rss_mib["metacontroller"],
            }
            for phase in phases
        },
    }


def table(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The least of each figure over the passes."""
    yield row("requests per second", "workers", *(f"{name}: {what}" for name in PHASES for what in COLUMNS))
    yield line(2 + len(PHASES) * len(COLUMNS))
    for qps, workers in sorted({(each["qps"], each["workers"]) for each in results}):
        same = [each for each in results if (each["qps"], each["workers"]) == (qps, workers)]
        cells = [
            column(min(value(each["phases"][name], each["n"]) for each in same))
            for name in PHASES
            for value, column in COLUMNS.values()
        ]
        yield row(qps, workers, *cells)


COLUMNS = {
    "all ready after": (lambda phase, n: phase["all_s"], "{:.0f} s".format),
    "syncs per source": (lambda phase, n: phase["syncs"] / n, "{:.1f}".format),
    "CPU of all": (lambda phase, n: sum(phase["cpu_s"].values()), "{:.0f} s".format),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
