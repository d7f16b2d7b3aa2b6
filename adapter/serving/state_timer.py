"""The time limit of the state that a connection is in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class StateTimer:
    """Calls ``expired`` with a state's name when its time is over. ``seconds`` is the time limit of a state.

    A timer that fires early enough stays when the state changes, so most requests need no new one.
    """

    def __init__(self, seconds: Callable[[str], float], expired: Callable[[str], None]) -> None:
        self._seconds, self._expired = seconds, expired
        self._loop = asyncio.get_running_loop()
        self._state: tuple[str, int] | None = None
        self._deadline = 0.0  # the end of the time limit, on the loop's clock
        self._timer: asyncio.TimerHandle | None = None  # fires at the deadline or before it

    def enter(self, state: tuple[str, int] | None) -> None:
        """``state``: its name, and which request it applies to; None has no limit. The same state changes nothing."""
        if state == self._state:
            return
        self._state = state
        if state:
            self._deadline = self._loop.time() + self._seconds(state[0])
            self._start()

    def stop(self) -> None:
        """Call ``expired`` no more, and forget it: it refers to a connection that ends."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._expired = lambda state: None

    def _start(self) -> None:
        if self._timer and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        self._timer = self._timer or self._loop.call_at(self._deadline, self._check)

    def _check(self) -> None:
        timer, self._timer, state = self._timer, None, self._state
        if timer and state:
            if self._deadline > timer.when():
                self._start()
            else:
                self._state = None
                self._expired(state[0])
