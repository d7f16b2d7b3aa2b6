"""Alarms in virtual time: when they ring, and together with which others."""

from __future__ import annotations

import asyncio

from adapter.pool.alarms import Alarms
from adapter.testing.clock import START
from adapter.timing.times import to_ns
from tests.virtual_time import LoopClock, run


def test_alarms_of_the_same_5_ms_ring_together_and_none_before_its_time() -> None:
    rung: list[tuple[int, int]] = []  # when, and for when, in milliseconds

    async def test() -> None:
        loop, clock = asyncio.get_running_loop(), LoopClock()
        alarms = Alarms(clock)

        def set_for(ms: int) -> None:
            alarms.set(to_ns(START) + ms * 1_000_000, lambda: rung.append((round(loop.time() * 1000), ms)))

        for ms in (16, 11, 12, 20, 15, 21):
            set_for(ms)
        await asyncio.sleep(1)

    run(test())
    assert rung == [(15, 11), (15, 12), (15, 15), (20, 16), (20, 20), (25, 21)]
