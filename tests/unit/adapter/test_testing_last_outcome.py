"""The fixtures send the last outcome, too: a test sees what a source does after its last event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import PrivateAttr

from adapter.sdk import Context, Event, Outcome, Source, Timer
from adapter.testing import Deliver, Poll, Run, Sink, VirtualClock
from adapter.testing.harness import LAST_STEP_S

Events = AsyncGenerator[Event, Outcome]


class QueueSource(Source):
    """Acknowledges each message after its delivery, then does what ``_afterwards`` says."""

    _acknowledged: list[tuple[str, Outcome]] = PrivateAttr(default_factory=list)
    _afterwards: str = PrivateAttr("")

    @asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        yield
        self._acknowledged.append(("closed", Outcome.DELIVERED))

    async def events(self, context: Context) -> Events:
        n = 0
        try:
            while True:
                outcome = yield Event("t", id=str(n))
                await asyncio.sleep(0.01)  # an acknowledgement over a network
                self._acknowledged.append((str(n), outcome))
                n += 1
                await self._afterwards_of(n, context)
        finally:
            self._acknowledged.append(("ended", Outcome.DELIVERED))

    async def _afterwards_of(self, n: int, context: Context) -> None:
        if n < 2:
            return
        if self._afterwards == "clock":
            await context.clock.sleep_until(context.clock.now() + timedelta(hours=1))
        if self._afterwards == "wait":
            await asyncio.Event().wait()
        if self._afterwards == "raise":
            raise LookupError("not acknowledged")


def queue(afterwards: str) -> QueueSource:
    source = QueueSource()
    source._afterwards = afterwards
    return source


ENDED = [("ended", Outcome.DELIVERED), ("closed", Outcome.DELIVERED)]


@pytest.mark.parametrize(
    ("afterwards", "deadline_s"), [("next-event", LAST_STEP_S * 0.8), ("clock", LAST_STEP_S * 0.8), ("wait", 10)]
)
def test_last_event_is_acknowledged_whatever_the_source_does_next(run: Run, afterwards: str, deadline_s: float) -> None:
    source, clock = queue(afterwards), VirtualClock()
    events = run(source, 2, outcomes=[Outcome.DELIVERED, Outcome.GAVE_UP], clock=clock, deadline_s=deadline_s)
    assert [event.id for event in events] == ["0", "1"]
    assert source._acknowledged == [("0", Outcome.DELIVERED), ("1", Outcome.GAVE_UP), *ENDED]
    assert clock.sleeps == []  # the last sleep does not advance the clock


def test_source_gets_the_outcome_of_its_last_delivery(deliver: Deliver, sink: Sink) -> None:
    source = queue("next-event")
    sink.answer(202, 400)
    assert deliver(source, sink, 2) == [Outcome.DELIVERED, Outcome.REJECTED]
    assert source._acknowledged == [("0", Outcome.DELIVERED), ("1", Outcome.REJECTED), *ENDED]
    assert len(sink.events) == 2  # the event after the last one is not sent


def test_exception_after_the_last_event_is_raised(run: Run) -> None:
    with pytest.raises(LookupError, match="not acknowledged"):
        run(queue("raise"), 2)


def test_timeout_of_the_source_itself_is_raised(run: Run) -> None:
    class ImpatientSource(Source):
        async def events(self, context: Context) -> Events:
            yield Event("t")
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run(ImpatientSource(), 1)

    class AtOnceSource(Source):
        async def events(self, context: Context) -> Events:
            raise TimeoutError("no answer of the queue")
            yield Event("t")

    with pytest.raises(TimeoutError, match="no answer of the queue"):
        run(AtOnceSource(), 1)


def test_source_that_ends_after_its_last_event_passes(run: Run) -> None:
    ended = []

    class OneSource(Source):
        async def events(self, context: Context) -> Events:
            ended.append((yield Event("t")))

    run(OneSource(), 1)
    assert ended == [Outcome.DELIVERED]


def test_timer_makes_no_event_after_the_last_tick(run: Run) -> None:
    made: list[int] = []

    class CountingSource(Timer):
        def tick(self, n: int) -> Event:
            made.append(n)
            return Event("t")

    run(CountingSource(), 3)
    assert len(made) == 3


@pytest.mark.parametrize("given", [Outcome.DELIVERED, Outcome.REJECTED, Outcome.GAVE_UP])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_generator_of_poll_gets_outcomes_until_one_is_gave_up(poll: Poll, given: Outcome, asynchronous: bool) -> None:
    outcomes: list[Outcome] = []

    class CursorSource(Source):
        async def poll(self, client: Any) -> Any:
            for item in (await client.get("http://h")).json():
                outcomes.append((yield Event("t", id=item)))

    class PlainSource(Source):
        def poll(self, client: Any) -> Any:
            for item in "ab":
                outcomes.append((yield Event("t", id=item)))

    source = CursorSource() if asynchronous else PlainSource()
    events = poll(source, ["a", "b"], outcomes=[given])
    gave_up = given is Outcome.GAVE_UP
    assert [event.id for event in events] == (["a"] if gave_up else ["a", "b"])
    assert outcomes == ([] if gave_up else [given, Outcome.DELIVERED])


def test_item_without_id_fails_the_test_because_an_adapter_ends(poll: Poll) -> None:
    class NamelessSource(Source):
        async def poll(self, client: Any) -> list[Event]:
            return [Event("t")]

    with pytest.raises(AssertionError, match=r"poll\(\) of NamelessSource made an Event without id; write Event\(id="):
        poll(NamelessSource(), [])
