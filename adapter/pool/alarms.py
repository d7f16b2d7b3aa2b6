"""Calls functions at times of the wall clock: one timer of the event loop for all sources."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from adapter.model.clock import LOOK_AGAIN_S, SET_BACK_S, Clock
from adapter.timing.times import to_ns

AT_ONCE = 50  # calls, before the loop handles other work
SLACK_NS = 5_000_000  # with 1,000 alarms per second, one wake-up of the process then serves five
Ring = Callable[[], None]


class Alarm:
    """``ring``: None once it has rung or was cancelled."""

    __slots__ = ("ring",)

    def __init__(self, ring: Ring) -> None:
        self.ring: Ring | None = ring


class Alarms:
    """Looks at the clock at least every ``LOOK_AGAIN_S`` seconds while an alarm is set: it may be set forward.

    If the clock is set back, all alarms ring at once, before their time. An alarm may ring ``slack_ns`` nanoseconds
    late, so that it rings together with others.
    """

    def __init__(self, clock: Clock, slack_ns: int = SLACK_NS) -> None:
        self._clock = clock
        self._slack_ns = slack_ns
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[int, int, Alarm]] = []  # nanoseconds, number, alarm
        self._number = 0
        self._cancelled = 0  # alarms in the heap that do not ring any more
        self._timer: asyncio.TimerHandle | None = None
        self._offset_s = self._offset()

    def set(self, at: int, ring: Ring) -> Alarm:
        """Call ``ring`` at this time, or soon if it has passed. ``at``: nanoseconds since the epoch."""
        alarm = Alarm(ring)
        self._number += 1
        heapq.heappush(self._heap, (at // 1000 * 1000, self._number, alarm))  # the clock has whole microseconds
        wait_s = self._wait_s(self._heap[0][0])
        if self._timer is None or self._loop.time() + wait_s < self._timer.when():
            self._look_after(wait_s)
        return alarm

    def cancel(self, alarm: Alarm | None) -> None:
        if alarm and alarm.ring:
            alarm.ring = None
            self._cancelled += 1
            if self._cancelled > len(self._heap) // 2:
                self._heap = [entry for entry in self._heap if entry[2].ring]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _wait_s(self, at: int) -> float:
        look = -(-at // self._slack_ns) * self._slack_ns  # the end of the slot of this alarm
        return min(max((look - to_ns(self._clock.now())) / 1e9, 0.0), LOOK_AGAIN_S)

    def _look_after(self, wait_s: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait_s, self._look)

    def _look(self) -> None:
        self._timer, before_s, self._offset_s = None, self._offset_s, self._offset()
        if before_s - self._offset_s >= SET_BACK_S:
            self._heap = [(0, n, alarm) for _, n, alarm in self._heap]
            heapq.heapify(self._heap)
        now = to_ns(self._clock.now())
        for _ in range(AT_ONCE):
            if not self._heap or self._heap[0][0] > now:
                break
            alarm = heapq.heappop(self._heap)[2]
            ring, alarm.ring = alarm.ring, None
            if ring:
                ring()
            else:
                self._cancelled -= 1
        if self._heap:
            self._look_after(self._wait_s(self._heap[0][0]))

    def _offset(self) -> float:
        """Seconds from the monotonic clock to the wall clock."""
        return self._clock.now().timestamp() - self._loop.time()
