"""Code that blocks the event loop is reported while it blocks, with its place. An idle loop gets no signal."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from itertools import count
from types import FrameType
from typing import Any

from adapter.observe.blocked import LoopWatch, cpu_wait_s

BLOCKED_S = 0.1


class Log(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(4 * BLOCKED_S)


def reported(work: Callable[[], Coroutine[Any, Any, None]], waits: Callable[[], float] = lambda: 0.0) -> list[str]:
    """The functions that were interrupted and reported. ``waits``: how long the process has waited for a CPU."""
    seen: list[str] = []

    def report(frame: FrameType) -> None:
        seen.append(frame.f_code.co_name)

    watch = LoopWatch(report, BLOCKED_S, waits)
    with asyncio.Runner(loop_factory=watch.new_loop) as runner:
        watch.start()
        try:
            runner.run(work())
        finally:
            watch.stop()
    return seen


def block(seconds: float) -> None:
    time.sleep(seconds)


def compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_each_block_is_reported_once_while_it_lasts() -> None:
    async def work() -> None:
        block(6 * BLOCKED_S)
        await asyncio.sleep(0)
        compute(6 * BLOCKED_S)

    assert reported(work) == ["block", "compute"]


def test_call_that_lets_no_signal_through_is_reported_at_its_end() -> None:
    def deaf() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(6 * BLOCKED_S)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])

    async def work() -> None:
        deaf()

    [place] = reported(work)
    assert place in ("deaf", "pthread_sigmask")  # in another thread, if there is one, the signal arrives earlier


def test_block_after_an_idle_time_is_reported() -> None:
    async def work() -> None:
        await asyncio.sleep(4 * BLOCKED_S)
        block(6 * BLOCKED_S)

    assert reported(work) == ["block"]


def test_busy_loop_that_is_not_blocked_is_not_reported() -> None:
    async def work() -> None:
        for _ in range(100):
            compute(BLOCKED_S / 10)
            await asyncio.sleep(0)

    assert reported(work, cpu_wait_s) == []


def test_blocks_that_are_shorter_are_not_reported_although_signals_interrupt_them() -> None:
    async def work() -> None:
        for _ in range(20):
            block(0.6 * BLOCKED_S)
            await asyncio.sleep(0)

    assert reported(work, cpu_wait_s) == []


def test_process_that_waits_for_a_cpu_is_not_reported() -> None:
    async def work() -> None:
        block(6 * BLOCKED_S)

    waited = count()
    assert reported(work, lambda: next(waited) * BLOCKED_S) == []


def test_block_in_a_log_line_is_not_reported_because_a_line_within_it_would_fail() -> None:
    async def work() -> None:
        log = logging.Logger("slow")
        log.addHandler(Log())
        log.warning("x")

    assert reported(work) == []


def test_idle_loop_gets_no_signal() -> None:
    async def work() -> None:
        await asyncio.sleep(10 * BLOCKED_S)

    signals = count()
    assert reported(work, lambda: next(signals)) == []
    assert next(signals) == 0


def test_time_waited_for_a_cpu_grows() -> None:
    assert cpu_wait_s() >= 0
