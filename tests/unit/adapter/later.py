"""An event loop whose clock can be moved forward, for limits that are looked at when a connection is used."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LaterLoop(asyncio.SelectorEventLoop):
    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


def run(test: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=LaterLoop) as runner:
        return runner.run(test)


def skip(seconds: float) -> None:
    """Move the clock of the running loop. Timers that become due run at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LaterLoop)
    loop.ahead_s += seconds
