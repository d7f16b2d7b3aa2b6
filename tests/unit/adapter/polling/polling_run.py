"""Runs a Poller under a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx2
import pytest

from adapter.contract.durations import Interval
from adapter.model.schedule import Schedule
from adapter.polling.position import WINDOW
from adapter.sdk import Context, Event, Field, Outcome, Poller
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

UID = "6f2c"
MINUTE = Schedule.of(UID, START, 60_000_000_000)
Found = Sequence[str] | Exception


class Done(Exception):
    """The poller was stopped by KeyboardInterrupt."""


class Scripted(Poller):
    """Each poll takes the next of ``steps``: it finds items with these ids, or raises the exception."""

    steps: list[Any] = Field(default=[], description="What each poll finds.")
    skips: bool = Field(default=False, description="Whether the first poll sends nothing.")

    async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        if not self.steps:
            raise KeyboardInterrupt  # ends the run: a poller handles only subclasses of Exception
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return [Event(type="t", id=id) for id in step]

    def skip_existing(self) -> bool:
        return self.skips


class Run:
    """Pulls events until ``poll()`` or the upstream raises KeyboardInterrupt. ``answer`` gives their outcomes."""

    def __init__(
        self,
        source: Poller,
        answer: Callable[[Event], Outcome] = lambda event: Outcome.DELIVERED,
        *,
        handler: Callable[[httpx2.Request], httpx2.Response] | None = None,
        window: int = WINDOW,
        jitter: float = 0.0,
    ) -> None:
        self.clock, self.book = VirtualClock(), Logbook()
        self.polled: list[tuple[str, int]] = []
        self.unready: list[str | None] = []
        self.source, self.answer = source, answer
        self.transport = httpx2.MockTransport(handler) if handler else None
        self.window, self.jitter = window, jitter
        self.context = Context(
            UID, UID, START, self.clock, self.book.log,
            count_poll=lambda outcome, count: self.polled.append((outcome, count)), set_unready=self.unready.append,
        )  # fmt: skip
        self.events: list[Event] = []

    def ids(self) -> list[str | None]:
        async def pull() -> None:
            events = self.source.events(
                self.context, transport=self.transport, window=self.window, jitter=lambda: self.jitter
            )
            try:
                event = await anext(events)
                while True:
                    self.events.append(event)
                    event = await events.asend(self.answer(event))
            except KeyboardInterrupt as end:
                raise Done from end
            finally:
                await events.aclose()

        with pytest.raises(Done):
            asyncio.run(pull())
        return [event.id for event in self.events]

    @property
    def outcomes(self) -> list[str]:
        return [outcome for outcome, count in self.polled for _ in range(count)]


def run(*steps: Found, skips: bool = False, interval: str = "1m", window: int = WINDOW) -> Run:
    return Run(Scripted(steps=list(steps), skips=skips, interval=Interval(interval)), window=window)
