"""When a source is ready, and the reason if it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from adapter.sdk import Context, Event
from tests.unit.adapter.fake_adapter import Events, FakeAdapter, ScriptedSource, until, wait_for_ever, within_deadline


def test_source_that_is_unready_from_running_stays_unready_until_it_says_so() -> None:
    class ConnectingSource(ScriptedSource):
        @asynccontextmanager
        async def running(self, context: Context) -> AsyncIterator[None]:
            context.set_unready("starting")
            yield

    async def events(context: Context) -> Events:
        await connected.wait()
        context.set_unready(None)
        await wait_for_ever()
        yield Event(type="t")

    async def test() -> None:
        running = asyncio.create_task(adapter.runtime.run())
        for _ in range(20):
            await asyncio.sleep(0)
        assert adapter.runtime.unready_reason == "starting"
        connected.set()
        await until(lambda: adapter.runtime.unready_reason is None)
        adapter.runtime.stop()
        await running

    connected = asyncio.Event()
    source = ConnectingSource()
    source._events = events
    adapter = FakeAdapter(source)
    within_deadline(test())


def test_listener_stays_ready_while_no_event_is_accepted() -> None:
    class ListeningSource(ScriptedSource):
        listens: ClassVar[bool] = True

    async def events(context: Context) -> Events:
        await asyncio.sleep(0)
        adapter.sink_reason = "no event is accepted"
        await asyncio.sleep(0)
        seen.append(adapter.runtime.unready_reason)
        adapter.runtime.stop()
        yield Event(type="t")

    for source, expected in ((ListeningSource(), None), (ScriptedSource(), "no event is accepted")):
        seen: list[str | None] = []
        source._events = events
        adapter = FakeAdapter(source)
        within_deadline(adapter.runtime.run())
        assert seen == [expected]


async def seen_reasons(reason: str | None) -> list[str | None]:
    """What a readiness probe could see at each turn of the loop, for a source that starts with this reason."""

    async def events(context: Context) -> Events:
        if reason:
            context.set_unready(reason)
        await wait_for_ever()
        yield Event(type="t")

    adapter = FakeAdapter(events)
    running = asyncio.create_task(adapter.runtime.run())
    seen = []
    for _ in range(20):
        seen.append(adapter.runtime.unready_reason)
        await asyncio.sleep(0)
    adapter.runtime.stop()
    await running
    return seen


def test_runtime_is_unready_until_the_source_has_started() -> None:
    async def test() -> None:
        assert set(await seen_reasons("not yet")) == {"starting", "not yet"}
        seen = await seen_reasons(None)
        assert (seen[0], seen[-1]) == ("starting", None)

    within_deadline(test())


def test_unready_reason_prefers_stopping_to_the_sink_and_the_sink_to_the_source() -> None:
    seen = []

    async def events(context: Context) -> Events:
        context.set_unready("no upstream")
        seen.append(adapter.runtime.unready_reason)
        adapter.sink_reason = "no event is accepted"
        seen.append(adapter.runtime.unready_reason)
        adapter.runtime.stop()
        seen.append(adapter.runtime.unready_reason)
        yield Event(type="t")

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert seen == ["no upstream", "no event is accepted", "stopping"]


def test_unready_reason_of_the_sink_disappears_when_it_accepts_events_again() -> None:
    seen = []

    async def events(context: Context) -> Events:
        await asyncio.sleep(0)  # until the runtime has started all workers
        adapter.sink_reason = "no event is accepted"
        seen.append(adapter.runtime.unready_reason)
        adapter.sink_reason = None
        seen.append(adapter.runtime.unready_reason)
        adapter.runtime.stop()
        yield Event(type="t")

    adapter = FakeAdapter(events)
    within_deadline(adapter.runtime.run())
    assert seen == ["no event is accepted", None]
