"""The runtime sends outcomes back, runs workers, rejects invalid events and reports its readiness."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import timedelta
from typing import Any

import pytest

from adapter.model.clock import SystemClock
from adapter.sdk import Context, Event, Outcome
from adapter.testing.clock import START
from tests.unit.adapter.fake_adapter import Events, FakeAdapter, ScriptedSource, until, wait_for_ever, within_deadline


def test_each_yield_returns_the_outcome_of_its_event() -> None:
    outcomes = {"a": Outcome.DELIVERED, "b": Outcome.GAVE_UP, "c": Outcome.DEAD_LETTERED, "d": Outcome.REJECTED}
    seen = {}

    async def events(context: Context) -> Events:
        for id in outcomes:
            seen[id] = yield Event(type="t", id=id)
        adapter.runtime.stop()

    async def deliver(event: Event) -> Outcome:
        return outcomes[event.id or ""]

    adapter = FakeAdapter(events, deliver)
    within_deadline(adapter.runtime.run())
    assert seen == outcomes
    assert [adapter.count(name) for name in ("delivered", "lost", "dead_lettered", "skipped")] == [1, 2, 1, 0]


def test_runtime_sets_only_a_missing_id_and_a_missing_time() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")
        yield Event(type="t")
        yield Event(type="t", id="own", time=START.replace(year=2000))
        yield Event(type="t", id="theirs", source="/theirs")  # no time is set for an event of another system
        adapter.runtime.stop()

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    first, second, own, theirs = (event for event, _ in adapter.delivered)
    assert first.id != second.id
    assert (first.id or "").startswith("uid-")
    assert first.time == START
    assert (own.id, own.time) == ("own", START.replace(year=2000))
    assert (theirs.id, theirs.time) == ("theirs", None)
    assert adapter.delivered[0][1].headers["ce-id"] == first.id


def test_workers_run_concurrently_and_each_keeps_its_order() -> None:
    in_flight: set[str | None] = set()
    most = 0

    async def events(context: Context) -> Events:
        for n in range(3):
            yield Event(type="t", id=f"{context.worker}/{context.workers}-{n}")

    async def deliver(event: Event) -> Outcome:
        nonlocal most
        in_flight.add(event.id)
        most = max(most, len(in_flight))
        await asyncio.sleep(0.002)
        in_flight.remove(event.id)
        if len(adapter.delivered) == 12:
            adapter.runtime.stop()
        return Outcome.DELIVERED

    adapter = FakeAdapter(events, deliver, workers=4)
    within_deadline(adapter.runtime.run())
    ids = [event.id for event, _ in adapter.delivered]
    assert most == 4
    for worker in range(4):
        assert [id for id in ids if id and id.startswith(f"{worker}/")] == [f"{worker}/4-{n}" for n in range(3)]


@pytest.mark.parametrize("workers", [0, "3", None, 2.5])
def test_source_without_workers_is_an_error(workers: Any) -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")

    message = f"workers() of ScriptedSource returned {workers!r}; return 1 or more"
    with pytest.raises(ValueError, match=re.escape(message)):
        within_deadline(FakeAdapter(events, workers=workers).runtime.run())


def test_exception_in_one_worker_ends_all_workers() -> None:
    async def events(context: Context) -> Events:
        if context.worker == 1:
            raise LookupError("mine")
        await wait_for_ever()
        yield Event(type="t")

    with pytest.raises(LookupError, match="mine"):
        within_deadline(FakeAdapter(events, workers=3).runtime.run())


def test_system_clock_yields_to_other_tasks_after_the_deadline() -> None:
    async def test() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_soon(stopped.set)
        while not stopped.is_set():
            await SystemClock().sleep_until(START)

    within_deadline(test())


def test_adapter_keeps_running_when_the_source_has_no_more_events() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")

    async def test() -> None:
        run = asyncio.create_task(adapter.runtime.run())
        await until(lambda: adapter.book.logged("no more events"))
        assert not run.done()
        adapter.runtime.stop()
        await run

    adapter = FakeAdapter(events)
    within_deadline(test())
    assert adapter.count("delivered") == 1


@pytest.mark.parametrize("before", [0, 1], ids=["before-the-first", "after-one"])
def test_run_raises_the_exception_of_the_source(before: int) -> None:
    async def events(context: Context) -> Events:
        for _ in range(before):
            yield Event(type="t")
        raise LookupError("mine")

    adapter = FakeAdapter(events)
    with pytest.raises(LookupError, match="mine"):
        within_deadline(adapter.runtime.run())
    assert len(adapter.delivered) == before


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Event(type="", id="bad"), id="no-type"),
        pytest.param(Event(type="t", id="bad", data={"secret": object()}), id="data"),
        pytest.param(Event(type="t", id="bad", extensions={"id": "x"}), id="extension"),
    ],
)
def test_invalid_event_is_logged_and_counted_and_the_next_is_delivered(bad: Event) -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield bad))
        outcomes.append((yield Event(type="t", id="good")))
        adapter.runtime.stop()

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert outcomes == [Outcome.REJECTED, Outcome.DELIVERED]
    assert [event.id for event, _ in adapter.delivered] == ["good"]
    assert adapter.count("lost") == 1
    (line,) = adapter.book.logged("invalid event rejected")
    assert (line["level"], line["event_id"], line["count"]) == ("error", "bad", 1)
    assert line["reason"]
    assert "secret" not in adapter.book.text


def test_last_invalid_event_of_a_minute_is_logged_after_it() -> None:
    async def events(context: Context) -> Events:
        for id in ("first", "second"):
            yield Event(type="", id=id)
        await context.clock.sleep_until(START + timedelta(minutes=2))
        yield Event(type="t", id="good")
        adapter.runtime.stop()

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert [line["event_id"] for line in adapter.book.logged("invalid event rejected")] == ["first", "second"]


def test_invalid_event_counts_for_readiness() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="", id="bad")
        adapter.runtime.stop()

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert adapter.invalid


class OutboxSource(ScriptedSource):
    """Rows stay in the table until they are delivered."""

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        return True


def test_undelivered_events_of_a_source_that_sends_them_again_count_as_returned() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t", id="refused")
        yield Event(type="t", id="given up")
        yield Event(type="", id="invalid")
        adapter.runtime.stop()

    async def deliver(event: Event) -> Outcome:
        return Outcome.REJECTED if event.id == "refused" else Outcome.GAVE_UP

    source = OutboxSource()
    source._events = events
    adapter = FakeAdapter(source, deliver)
    within_deadline(adapter.runtime.run())
    assert [adapter.count(name) for name in ("returned", "lost")] == [3, 0]
    assert adapter.was_sent_again == [True, True]


def test_held_log_lines_are_written_when_the_source_ends() -> None:
    async def events(context: Context) -> Events:
        for id in ("first", "second", "third"):
            yield Event(type="", id=id)
        adapter.runtime.stop()

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    lines = adapter.book.logged("invalid event rejected")
    assert [(line["event_id"], line["count"]) for line in lines] == [("first", 1), ("third", 2)]
    assert adapter.flushed  # those of the delivery, too


def test_error_names_the_type_of_a_yielded_object_that_is_not_an_event() -> None:
    async def events(context: Context) -> Events:
        yield {"type": "t"}  # type: ignore[misc]  # wrong on purpose

    with pytest.raises(TypeError, match="the source yielded dict; yield an Event"):
        within_deadline(FakeAdapter(events).runtime.run())


def test_sent_events_are_delivered_concurrently_within_the_timeout_of_their_callers() -> None:
    both = asyncio.Barrier(2)
    outcomes: list[Outcome] = []

    async def events(context: Context) -> Events:
        sent = [context.send(Event(type="t", id=id), timeout_s=3) for id in ("delivered", "lost")]
        outcomes.extend(await asyncio.gather(*sent))
        adapter.runtime.stop()
        await wait_for_ever()
        yield Event(type="t")

    async def deliver(event: Event) -> Outcome:
        await both.wait()
        return Outcome.DELIVERED if event.id == "delivered" else Outcome.GAVE_UP

    adapter = FakeAdapter(events, deliver)
    within_deadline(adapter.runtime.run())
    assert outcomes == [Outcome.DELIVERED, Outcome.GAVE_UP]
    assert adapter.caller_timeouts == [3, 3]
    assert [adapter.count(name) for name in ("delivered", "returned", "lost")] == [1, 1, 0]


def test_pulled_events_have_no_caller_timeout() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")
        adapter.runtime.stop()

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert adapter.caller_timeouts == [None]


def test_context_counts_missed_events_and_polls() -> None:
    async def events(context: Context) -> Events:
        context.count_missed(2)
        context.count_poll("ok", 3)
        adapter.runtime.stop()
        yield Event(type="t")

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert adapter.count("skipped") == 2
    assert b'outcome="ok"} 3.0' in adapter.metrics.render()


def test_send_outside_an_adapter_is_an_error() -> None:
    context = Context("/s", "uid", START, SystemClock(), logging.getLogger("adapter"))
    with pytest.raises(RuntimeError, match=r"context.send\(\) works only in a running adapter"):
        asyncio.run(context.send(Event(type="t"), timeout_s=1))
