"""An event loop in virtual time: a wait takes no time, and the order of all steps is the same in each run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)


class _Selector(selectors.SelectSelector):
    """Sets the time to that of the next timer instead of waiting. There is no I/O."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.before_step: Callable[[], None] = lambda: None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("all tasks wait for ever")
        self.now_s += max(0.0, timeout)
        self.before_step()
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """``before_step`` is called before the ready callbacks of the loop run: between two awaits of any task."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s

    def on_step(self, call: Callable[[], None]) -> None:
        self._clock.before_step = call


def run_virtually(test: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(test(loop))
    finally:
        loop.close()


class LoopClock:
    """Wall-clock time that follows the running loop."""

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep_until(self, deadline: datetime) -> None:
        await asyncio.sleep(max(0.0, (deadline - self.now()).total_seconds()))
