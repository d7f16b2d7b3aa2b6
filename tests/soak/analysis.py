"""Judges what the programs used in a soak run. Pure.

Memory grows in steps, because the allocator takes whole arenas. It also grows a little for minutes, until caches and
the causes of the log are full. So a slope alone says nothing about a short run. A leak is a slope above the bar that
has also added more than such a step to the run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

from tests.soak.sampler import Sample

CYCLE_S = 20.0  # the load repeats after this time, so whole cycles are compared
IDLE_CPU = 0.2  # share of a core; the hook needs 0.04 of a slow one, a hot loop takes what it gets


@dataclass(frozen=True)
class Bar:
    """A growth is too large if it is more than ``per_min`` in each minute and more than ``in_all`` in the whole run."""

    per_min: float
    in_all: float


# in_all: in windows of two minutes of runs without a leak, the slope of memory added at most 0.35 MiB. The limit is
# three times as high, for other machines.
MEMORY_MIB, FILES = Bar(0.1, 1.2), Bar(0.5, 10.0)


@dataclass(frozen=True)
class Growth:
    """``per_min``: the slope. ``in_all``: the slope times the length of the run."""

    per_min: float
    in_all: float

    def exceeds(self, bar: Bar) -> bool:
        return self.per_min > bar.per_min and self.in_all > bar.in_all


def memory(samples: Sequence[Sample]) -> Growth:
    return _growth(samples, lambda cycle: statistics.median(each.memory_mib for each in cycle))


def files(samples: Sequence[Sample]) -> Growth:
    """Of the fewest open files in each cycle: the others depend on how many connections are open just then."""
    return _growth(samples, lambda cycle: min(each.files for each in cycle))


def _growth(samples: Sequence[Sample], value: Callable[[Sequence[Sample]], float]) -> Growth:
    """The slope by Theil and Sen: the median of the slopes between all pairs of cycles. Few outliers do not change it.

    ``value``: of a cycle. A part of a cycle is left out: it has not all modes of the sink. ``ValueError`` if there are
    fewer than three cycles.
    """
    cycles = [list(taken) for _, taken in groupby(samples, key=lambda sample: int(sample.at_s // CYCLE_S))]
    cycles = [taken for taken in cycles if len(taken) >= max(map(len, cycles)) - 1]  # a sample may be late
    points = [(statistics.median(each.at_s / 60 for each in taken), value(taken)) for taken in cycles]
    if len(points) < 3:
        raise ValueError(f"{len(points)} cycles of load; measure at least three, {3 * CYCLE_S:.0f} s")
    slope = statistics.median((later[1] - first[1]) / (later[0] - first[0]) for first, later in combinations(points, 2))
    return Growth(slope, slope * (samples[-1].at_s - samples[0].at_s) / 60)


def problems(samples: Sequence[Sample], idle_cpu: float) -> list[str]:
    """What is wrong with a program. ``samples``: after the warm-up. ``idle_cpu``: its share of a core without work."""
    found = []
    for what, bar, grown in (
        ("memory grows by {:.2f} MiB", MEMORY_MIB, memory(samples)),
        ("open files grow by {:.1f}", FILES, files(samples)),
    ):
        if grown.exceeds(bar):
            found.append(f"{what.format(grown.per_min)} per minute; at most {bar.per_min:g}")
    if idle_cpu > IDLE_CPU:
        found.append(f"takes {idle_cpu:.0%} of a core without work; at most {IDLE_CPU:.0%}")
    return found
