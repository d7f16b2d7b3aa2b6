"""Events that are not delivered before shutdown: what the log says, and what the source gets."""

from __future__ import annotations

import asyncio
import dataclasses

from adapter.contract.timeouts import TIMEOUTS
from adapter.runtime.deliveries import Drain
from adapter.sdk import Context, Event, Outcome
from tests.unit.adapter.fake_adapter import Events, FakeAdapter, ScriptedSource, wait_for_ever, within_deadline


def test_events_that_are_lost_at_shutdown_are_ten_lines_and_a_digest() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id=str(context.worker))

    async def deliver(event: Event) -> Outcome:
        if len(adapter.delivered) == 256:
            adapter.runtime.stop()
        await wait_for_ever()
        raise AssertionError

    times = dataclasses.replace(TIMEOUTS, outcome_s=0.01)
    adapter = FakeAdapter(events, deliver, drain=Drain(0.01), workers=256, timeouts=times)
    within_deadline(adapter.runtime.run())
    lines = adapter.book.logged("event lost: not delivered before shutdown")
    assert [line["count"] for line in lines] == [1] * 10 + [246]
    assert {line["event_id"] for line in lines[:10]} | {lines[-1]["event_id"], lines[-1]["first_event_id"]} <= {
        str(n) for n in range(256)
    }
    assert adapter.count("lost") == 256


def test_event_that_a_later_process_sends_again_is_not_lost_at_shutdown() -> None:
    asked: list[tuple[Outcome, bool]] = []

    class OutboxSource(ScriptedSource):
        def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
            asked.append((outcome, stopping))
            return True

    async def events(context: Context) -> Events:
        yield Event(type="t", id="kept")

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        await wait_for_ever()
        raise AssertionError

    source = OutboxSource()
    source._events = events
    adapter = FakeAdapter(source, deliver, drain=Drain(0.01), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.01))
    within_deadline(adapter.runtime.run())
    (line,) = adapter.book.logged("not delivered")
    assert line["msg"] == "event not delivered before shutdown; the source will send it again"
    assert f"-{line['trace_id']}-" in adapter.delivered[0][1].headers["traceparent"]
    assert set(asked) == {(Outcome.GAVE_UP, True)}
    assert (adapter.count("returned"), adapter.count("lost")) == (1, 0)


def test_sent_event_that_is_not_delivered_before_shutdown_is_returned_to_its_caller() -> None:
    outcomes: list[Outcome] = []
    callers: set[asyncio.Task[None]] = set()

    async def call(context: Context) -> None:
        outcomes.append(await context.send(Event(type="t", id="1", data="secret"), timeout_s=60))

    async def events(context: Context) -> Events:
        callers.add(asyncio.create_task(call(context)))
        await wait_for_ever()
        yield Event(type="t")

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        await wait_for_ever()
        raise AssertionError

    adapter = FakeAdapter(events, deliver, drain=Drain(0.01), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.01))
    within_deadline(adapter.runtime.run())
    assert outcomes == [Outcome.GAVE_UP]
    (line,) = adapter.book.lines
    assert (line["msg"], line["event_id"]) == ("event not delivered before shutdown; caller notified", "1")
    assert (adapter.count("returned"), adapter.count("lost")) == (1, 0)
    assert "secret" not in adapter.book.text


def test_source_gets_the_outcome_of_an_event_that_is_lost_at_shutdown() -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield Event(type="t")))

    async def deliver(event: Event) -> Outcome:
        adapter.runtime.stop()
        await wait_for_ever()
        raise AssertionError

    adapter = FakeAdapter(events, deliver, drain=Drain(0.01), timeouts=dataclasses.replace(TIMEOUTS, outcome_s=0.1))
    within_deadline(adapter.runtime.run())
    assert outcomes == [Outcome.GAVE_UP]
