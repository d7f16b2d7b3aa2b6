"""The life of a source: outcomes go back, SIGTERM drains, a bad event does not stop the good ones."""

from __future__ import annotations

import asyncio

import pytest

from adapter.model.clock import SystemClock
from adapter.sdk import Context, Event, Outcome
from adapter.testing.clock import START
from tests.unit.adapter.life import DEADLINE_S, Events, Life, for_ever, within_deadline


def test_each_yield_returns_its_own_events_outcome() -> None:
    outcomes = {"a": Outcome.DELIVERED, "b": Outcome.GAVE_UP, "c": Outcome.DEAD_LETTERED, "d": Outcome.REJECTED}
    seen = {}

    async def events(context: Context) -> Events:
        for id in outcomes:
            seen[id] = yield Event(type="t", id=id)
        life.runtime.stop()

    async def deliver(event: Event) -> Outcome:
        return outcomes[event.id or ""]

    life = Life(events, deliver)
    within_deadline(life.runtime.run())
    assert seen == outcomes
    assert [life.count(it) for it in ("delivered", "lost", "dead_lettered", "skipped")] == [1, 2, 1, 0]


def test_an_event_gets_an_id_and_a_time_only_where_it_has_none() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")
        yield Event(type="t")
        yield Event(type="t", id="own", time=START.replace(year=2000))
        yield Event(type="t", id="theirs", source="/theirs")  # whose time is theirs to know
        life.runtime.stop()

    life = Life(events)
    within_deadline(life.runtime.run())
    first, second, own, theirs = (event for event, _ in life.delivered)
    assert first.id != second.id
    assert (first.id or "").startswith("uid-")
    assert first.time == START
    assert (own.id, own.time) == ("own", START.replace(year=2000))
    assert (theirs.id, theirs.time) == ("theirs", None)
    assert life.delivered[0][1].headers["ce-id"] == first.id


def test_lanes_run_side_by_side_each_in_its_own_order() -> None:
    under_way: set[str | None] = set()
    most = 0

    async def events(context: Context) -> Events:
        for n in range(3):
            yield Event(type="t", id=f"{context.lane}/{context.lanes}-{n}")

    async def deliver(event: Event) -> Outcome:
        nonlocal most
        under_way.add(event.id)
        most = max(most, len(under_way))
        await asyncio.sleep(0.002)
        under_way.remove(event.id)
        if len(life.delivered) == 12:
            life.runtime.stop()
        return Outcome.DELIVERED

    life = Life(events, deliver, max_in_flight=4)
    within_deadline(life.runtime.run())
    ids = [event.id for event, _ in life.delivered]
    assert most == 4
    for lane in range(4):
        assert [it for it in ids if it and it.startswith(f"{lane}/")] == [f"{lane}/4-{n}" for n in range(3)]


def test_an_exception_in_one_lane_ends_them_all() -> None:
    async def events(context: Context) -> Events:
        if context.lane == 1:
            raise LookupError("mine")
        await for_ever()
        yield Event(type="t")

    with pytest.raises(LookupError, match="mine"):
        within_deadline(Life(events, max_in_flight=3).runtime.run())


def test_the_system_clock_lets_others_run_although_its_deadline_is_past() -> None:
    async def test() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_soon(stopped.set)
        while not stopped.is_set():
            await SystemClock().sleep_until(START)

    within_deadline(test())


def test_a_source_that_ends_does_not_end_the_process() -> None:
    async def events(context: Context) -> Events:
        yield Event(type="t")

    async def test() -> None:
        run = asyncio.create_task(life.runtime.run())
        async with asyncio.timeout(DEADLINE_S):
            while not life.book.said("no more events"):  # noqa: ASYNC110 -- the log is what a person sees
                await asyncio.sleep(0.001)
        assert not run.done()
        life.runtime.stop()
        await run

    life = Life(events)
    within_deadline(test())
    assert life.count("delivered") == 1


@pytest.mark.parametrize("before", [0, 1], ids=["before-the-first", "after-one"])
def test_an_exception_of_the_source_comes_out(before: int) -> None:
    async def events(context: Context) -> Events:
        for _ in range(before):
            yield Event(type="t")
        raise LookupError("mine")

    life = Life(events)
    with pytest.raises(LookupError, match="mine"):
        within_deadline(life.runtime.run())
    assert len(life.delivered) == before


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Event(type="", id="bad"), id="no-type"),
        pytest.param(Event(type="t", id="bad", data={"secret": object()}), id="data"),
        pytest.param(Event(type="t", id="bad", extensions={"id": "x"}), id="extension"),
    ],
)
def test_an_event_that_cannot_be_sent_is_said_counted_and_the_next_is_sent(bad: Event) -> None:
    outcomes = []

    async def events(context: Context) -> Events:
        outcomes.append((yield bad))
        outcomes.append((yield Event(type="t", id="good")))
        life.runtime.stop()

    life = Life(events)
    within_deadline(life.runtime.run())
    assert outcomes == [Outcome.REJECTED, Outcome.DELIVERED]
    assert [event.id for event, _ in life.delivered] == ["good"]
    assert life.count("lost") == 1
    (line,) = life.book.said("event cannot be sent")
    assert (line["level"], line["event_id"], line["count"]) == ("error", "bad", 1)
    assert line["reason"]
    assert "secret" not in life.book.text


def test_a_source_that_yields_something_else_is_told_what() -> None:
    async def events(context: Context) -> Events:
        yield {"type": "t"}  # type: ignore[misc]  # wrong on purpose

    with pytest.raises(TypeError, match="the source yielded dict; yield an Event"):
        within_deadline(Life(events).runtime.run())


def test_a_source_is_in_trouble_until_it_has_begun_and_said_no_other() -> None:
    async def events(context: Context) -> Events:
        await asyncio.Event().wait()
        yield Event(type="t")

    async def troubles(trouble: str | None) -> list[str | None]:
        """At each turn of the loop, when a probe might come."""

        async def told(context: Context) -> Events:
            context.trouble(trouble)
            async for event in events(context):
                yield event

        life = Life(told if trouble else events)
        running = asyncio.create_task(life.runtime.run())
        seen = []
        for _ in range(20):
            seen.append(life.runtime.trouble)
            await asyncio.sleep(0)
        life.runtime.stop()
        await running
        return seen

    async def both() -> None:
        assert set(await troubles("not yet")) == {"starting", "not yet"}
        assert (await troubles(None))[-1] is None

    within_deadline(both())


def test_a_source_may_say_that_it_is_in_trouble() -> None:
    seen = []

    async def events(context: Context) -> Events:
        seen.append(life.runtime.trouble)
        context.trouble("upstream")
        seen.append(life.runtime.trouble)
        life.runtime.stop()
        yield Event(type="t")

    life = Life(events)
    assert life.runtime.trouble == "starting"
    within_deadline(life.runtime.run())
    assert seen == ["starting", "upstream"]
