"""The verdict of a soak run on samples that are made up: of a healthy program, and of one with a planted fault."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.soak.__main__ import LEAST_MINUTES, plan_of
from tests.soak.analysis import files, memory, problems
from tests.soak.run import PHASE_S, PHASES
from tests.soak.sampler import Sample

LONG_MINUTES = 20.0
Value = Callable[[float], float]


def measured(minutes: float, memory: Value = lambda m: 25.0, files: Value = lambda m: 50.0) -> list[Sample]:
    """The samples after the warm-up. ``memory``, ``files``: minutes -> value, without noise.

    The noise is that of real runs: a pool has 10 more or fewer open files, and 2 MiB more while its sink is away.
    """
    noise, plan = random.Random(1), plan_of(minutes)
    samples = []
    for n in range(int(plan.load_s / PHASE_S)):
        at_s = plan.warm_up_s + n * PHASE_S
        peak = 2.0 if n % len(PHASES) == 4 else 0.0
        open_files = round(files(at_s / 60) + noise.uniform(-10, 10))
        samples.append(Sample(at_s, memory(at_s / 60) + peak + noise.uniform(-0.1, 0.1), open_files, 0.0))
    return samples


@pytest.mark.parametrize("minutes", [LEAST_MINUTES, LONG_MINUTES])
def test_program_with_steady_use_has_no_problems(minutes: float) -> None:
    assert problems(measured(minutes), idle_cpu=0.004) == []


@pytest.mark.parametrize("minutes", [LEAST_MINUTES, LONG_MINUTES])
def test_one_more_arena_of_the_allocator_is_no_leak(minutes: float) -> None:
    step_at = plan_of(minutes).warm_up_s / 60 + 0.5
    assert problems(measured(minutes, lambda m: 25.0 + 0.3 * (m > step_at)), 0.0) == []


@pytest.mark.parametrize(
    ("minutes", "per_min"),
    [
        pytest.param(LONG_MINUTES, 0.12, id="long-run"),
        pytest.param(LEAST_MINUTES, 0.75, id="short-run"),
        pytest.param(LEAST_MINUTES, 6.0, id="adapter-that-keeps-each-event"),
    ],
)
def test_memory_that_grows_with_each_event_is_a_leak(minutes: float, per_min: float) -> None:
    (found,) = problems(measured(minutes, lambda m: 25.0 + per_min * m), 0.0)
    assert found == f"memory grows by {growth_of(minutes, per_min):.2f} MiB per minute; at most 0.1"


def growth_of(minutes: float, per_min: float) -> float:
    return memory(measured(minutes, lambda m: 25.0 + per_min * m)).per_min


@pytest.mark.parametrize(("minutes", "per_min"), [(LONG_MINUTES, 1.0), (LEAST_MINUTES, 12.0)])
def test_file_that_stays_open_at_each_reconnect_is_a_leak(minutes: float, per_min: float) -> None:
    """A cycle of the sink has four reconnects, so there are twelve in a minute."""
    (found,) = problems(measured(minutes, files=lambda m: 50.0 + per_min * m), 0.0)
    assert found.startswith("open files grow by ")
    assert found.endswith(" per minute; at most 0.5")


def test_more_connections_at_a_time_are_no_leak() -> None:
    """A pool may keep 16 more connections open, but closes them while its sink is away, in each cycle."""
    samples = measured(LEAST_MINUTES)
    later = samples[len(samples) // 2].at_s
    kept = [replace(each, files=each.files + 16 * (each.at_s > later and each.at_s % 20 >= 2)) for each in samples]
    assert problems(kept, 0.0) == []


def test_part_of_a_cycle_is_left_out() -> None:
    """The numbers of a real run. Its last samples were taken while the sink accepted events."""
    fewest = dict(zip((60, 80, 100, 120, 140), (14, 17, 13, 15, 16), strict=True))  # start of a cycle in s -> files
    samples = [Sample(at_s, 25.0, fewest[at_s // 20 * 20] + 17 * (at_s % 20 != 8), 0.0) for at_s in range(60, 160, 2)]
    samples += [Sample(at_s, 25.0, 33, 0.0) for at_s in (160, 162, 164)]
    assert files(samples).per_min < 2


def test_loop_without_a_pause_is_found_by_its_cpu_time() -> None:
    assert problems(measured(LEAST_MINUTES), idle_cpu=0.97) == ["takes 97% of a core without work; at most 20%"]


def test_slope_of_less_than_three_cycles_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 cycles of load; measure at least three"):
        memory(measured(LEAST_MINUTES)[:20])
