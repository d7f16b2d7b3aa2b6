"""An event loop whose time is virtual: a wait takes no time. For code that waits with the loop's own timers."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from adapter.model.clock import SystemClock
from adapter.testing.clock import START

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Instead of a wait, it sets the time forward."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("nothing is left to wait for")
        self.now_s += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._times = _Selector()
        super().__init__(self._times)

    def time(self) -> float:
        return self._times.now_s


class LoopClock(SystemClock):
    """The wall clock of a virtual loop. ``ahead_s``: change it to set the clock."""

    ahead_s = 0.0

    def now(self) -> datetime:
        loop = asyncio.get_running_loop()
        # a quarter of a microsecond makes up for the rounding of the loop's time
        return START + timedelta(seconds=loop.time() + self.ahead_s + 2.5e-7)


def run(test: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(test)
