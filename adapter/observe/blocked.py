"""Finds code that blocks the event loop: until it ends, no event is sent, and no probe and no caller gets an answer.

A signal interrupts the code while it blocks, so the place is known. An idle loop gets no signal.
"""

from __future__ import annotations

import asyncio
import selectors
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from adapter.observe.lookups import Loop

BLOCKED_S = 1.0
STARVED_SHARE = 0.5  # of the time: a process that had no CPU for longer was not blocked by its own code


def cpu_wait_s() -> float:
    """How long this thread has waited for a CPU since its start; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class LoopWatch:
    """``report`` gets the frame of code that runs for ``blocked_s`` or longer without returning to the event loop.

    It is called once per block, in a signal handler: between any two instructions of this code. It needs SIGALRM and
    the main thread. ``cpu_wait_s``: how long this thread has waited for a CPU.
    """

    def __init__(
        self,
        report: Callable[[FrameType], None],
        blocked_s: float = BLOCKED_S,
        cpu_wait_s: Callable[[], float] = cpu_wait_s,
    ) -> None:
        self.is_on = False
        self.runs_since_s = 0.0  # when the loop last got work
        self.signals = 0  # since then; after the report, -1
        self._report = report
        self._blocked_s = blocked_s
        self._cpu_wait_s = cpu_wait_s
        self._waited_s = 0.0  # for a CPU, at the last signal

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return Loop(_WatchedSelector(self))

    def start(self) -> None:
        signal.signal(signal.SIGALRM, self._on_signal)
        self.is_on = True

    def stop(self) -> None:
        self.is_on = False
        self.set_timer(0)

    def set_timer(self, every_s: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, every_s, every_s)

    def set_timer_on(self) -> None:
        self.set_timer(self._blocked_s / 2)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        last_s, self._waited_s = self._waited_s, self._cpu_wait_s()
        if self.signals < 0 or frame is None:
            return
        self.signals += 1
        blocked_s = time.monotonic() - self.runs_since_s
        if blocked_s < self._blocked_s:
            return
        # A library in C may let only one signal through, at its end.
        measured_s = self._blocked_s / 2 if self.signals > 1 else blocked_s
        is_starved = self._waited_s - last_s > measured_s * STARVED_SHARE
        if not is_starved and not _is_logging(frame):  # else judge at the next signal
            self.signals = -1
            self._report(frame)


def _is_logging(frame: FrameType | None) -> bool:
    """Whether a log line is being written: another one within it would fail."""
    while frame:
        if frame.f_globals.get("__name__") == "logging":
            return True
        frame = frame.f_back
    return False


class _WatchedSelector(selectors.DefaultSelector):
    """Lets the timer of ``watch`` run while the loop has work. It makes no system call while there is more work."""

    def __init__(self, watch: LoopWatch) -> None:
        super().__init__()
        self._watch = watch
        self._timer_is_set = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        watch = self._watch
        ready = super().select(0 if watch.is_on else timeout)
        if not watch.is_on:
            return ready
        if not ready and timeout != 0:
            watch.set_timer(0)
            self._timer_is_set = False
            ready = super().select(timeout)
        if not self._timer_is_set:
            watch.set_timer_on()
            self._timer_is_set = True
        watch.signals, watch.runs_since_s = 0, time.monotonic()
        return ready
