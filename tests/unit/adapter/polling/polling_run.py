"""Polls of a scripted kind under a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx2
import pytest

from adapter.contract.durations import Interval
from adapter.model.schedule import Schedule
from adapter.sdk import Context, Event, Field, Outcome, Poller
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

UID = "6f2c"
MINUTE = Schedule.of(UID, START, 60_000_000_000)
Found = Sequence[str] | Exception


class Done(Exception):
    """The script is at its end."""


class Scripted(Poller):
    """Finds the ids of each step of ``steps`` in turn; an exception is raised."""

    steps: list[Any] = Field(default=[], description="What each poll finds.")
    note: bool = Field(default=False, description="Whether the first poll only takes note.")

    async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        if not self.steps:
            raise KeyboardInterrupt  # no Exception: it comes out
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return [Event(type="t", id=id) for id in step]

    def skip_existing(self) -> bool:
        return self.note


class Run:
    """Pulls events until the script is at its end; ``answer`` is what becomes of each."""

    def __init__(self, source: Poller, answer: Callable[[Event], Outcome] = lambda event: Outcome.DELIVERED) -> None:
        self.clock, self.book = VirtualClock(), Logbook()
        self.polled: list[tuple[str, int]] = []
        self.troubles: list[str | None] = []
        self.source, self.answer = source, answer
        self.context = Context(
            UID, UID, START, self.clock, self.book.log,
            count_poll=lambda outcome, count: self.polled.append((outcome, count)), set_unready=self.troubles.append,
        )  # fmt: skip
        self.events: list[Event] = []

    def ids(self) -> list[str | None]:
        async def pull() -> None:
            events = self.source.events(self.context)
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


def run(*steps: Found, note: bool = False, interval: str = "1m") -> Run:
    return Run(Scripted(steps=list(steps), note=note, interval=Interval(interval)))
