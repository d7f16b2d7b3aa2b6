"""On SIGTERM, a poller polls once more and sends what it finds."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx2
import pytest
from pydantic import PrivateAttr

from adapter.contract.timeouts import TIMEOUTS
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import SystemClock
from adapter.sdk import Event, Interval, Outcome, Poller
from tests.unit.adapter.fake_adapter import FakeAdapter, until, wait_for_ever, within_deadline

INCOMPLETE = "last poll incomplete: new items may be lost"
QUICK = dataclasses.replace(TIMEOUTS, last_poll_s=0.05, outcome_s=0.01, source_close_s=0.05)


class ListSource(Poller):
    """Each poll calls ``_find``."""

    _find: Callable[[int], Awaitable[Iterable[str]]] = PrivateAttr()
    _existing: bool = PrivateAttr(True)
    _polls: int = PrivateAttr(0)

    async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        self._polls += 1
        return [Event(type="t", id=id) for id in await self._find(self._polls)]

    def skip_existing(self) -> bool:
        return self._existing


def list_source(
    find: Callable[[int], Awaitable[Iterable[str]]], *, skips: bool = True, interval: str = "1h"
) -> ListSource:
    source = ListSource(interval=Interval(interval))
    source._find, source._existing = find, skips
    return source


def adapter_of(source: ListSource, **details: Any) -> FakeAdapter:
    return FakeAdapter(source, clock=SystemClock(), **details)


def stopped(source: ListSource, **details: Any) -> FakeAdapter:
    """An adapter that gets SIGTERM while it waits for its second poll."""
    adapter = adapter_of(source, **details)
    stop(adapter, source, after=1)
    return adapter


def stop(adapter: FakeAdapter, source: ListSource, *, after: int) -> None:
    """Run the adapter, and stop it when so many polls have begun."""

    async def test() -> None:
        run = asyncio.create_task(adapter.runtime.run())
        await until(lambda: source._polls >= after)
        await asyncio.sleep(0)
        adapter.runtime.stop()
        await run

    within_deadline(test())


def ids(adapter: FakeAdapter) -> list[str | None]:
    return [event.id for event, _ in adapter.delivered]


def test_items_that_appeared_since_the_last_poll_are_sent_at_the_shutdown() -> None:
    async def find(n: int) -> list[str]:
        return ["old"] if n == 1 else ["old", "new", "newer"]

    source = list_source(find)
    adapter = stopped(source)
    assert (ids(adapter), source._polls) == (["new", "newer"], 2)
    assert not adapter.book.lines


def test_poll_that_runs_at_the_shutdown_ends_and_another_one_follows() -> None:
    """The running poll may have read the upstream before the new process did."""

    async def find(n: int) -> list[str]:
        if n == 2:
            await until(lambda: adapter.runtime.unready_reason == "stopping")
        return [str(each) for each in range(n)]

    source = list_source(find, interval="1ms")
    adapter = adapter_of(source)
    stop(adapter, source, after=2)
    assert source._polls == 3
    assert ids(adapter) == ["1", "2"]


def test_adapter_that_never_polled_successfully_stops_without_another_poll() -> None:
    async def find(n: int) -> list[str]:
        raise LookupError("down")

    source = list_source(find)
    adapter = stopped(source)
    assert (ids(adapter), source._polls) == ([], 1)
    assert not adapter.book.logged(INCOMPLETE)


@pytest.mark.parametrize("skips", [True, False])
def test_failed_last_poll_is_a_warning_if_the_next_process_does_not_find_the_items(skips: bool) -> None:
    async def find(n: int) -> list[str]:
        if n > 1:
            raise LookupError("down")
        return []

    adapter = stopped(list_source(find, skips=skips))
    assert len(adapter.book.logged(INCOMPLETE)) == skips


def test_last_poll_that_takes_too_long_is_cut_short_with_a_warning() -> None:
    async def find(n: int) -> list[str]:
        if n > 1:
            await wait_for_ever()
        return []

    adapter = stopped(list_source(find), timeouts=QUICK)
    assert len(adapter.book.logged(INCOMPLETE)) == 1


def test_items_after_one_that_is_not_delivered_are_named_in_a_warning() -> None:
    async def find(n: int) -> list[str]:
        return [] if n == 1 else ["a", "b"]

    async def give_up(event: Event) -> Outcome:
        return Outcome.GAVE_UP

    adapter = stopped(list_source(find), deliver=give_up)
    assert ids(adapter) == ["a"]
    assert len(adapter.book.logged(INCOMPLETE)) == 1


def checkpoint_of(*, is_shared: bool, is_stored: bool) -> Checkpoint:
    checkpoint = Checkpoint(is_shared=is_shared)
    if is_stored:
        checkpoint.restore(1, {"poller": 1, "seen": "", "cursors": {}})
    return checkpoint


@pytest.mark.parametrize(("is_shared", "is_stored"), [(True, True), (True, False), (False, True), (False, False)])
def test_last_poll_does_not_depend_on_the_checkpoint(is_shared: bool, is_stored: bool) -> None:
    """The next process may have another store, or the store may have lost the record: then it skips what it finds."""

    async def find(n: int) -> list[str]:
        return [str(each) for each in range(n)]

    source = list_source(find)
    adapter = stopped(source, checkpoint=checkpoint_of(is_shared=is_shared, is_stored=is_stored))
    assert source._polls == 2
    assert ids(adapter)[-1] == "1"


@pytest.mark.parametrize(("is_shared", "warnings"), [(True, 0), (False, 1)])
def test_incomplete_last_poll_loses_nothing_if_the_next_process_loads_the_checkpoint(
    is_shared: bool, warnings: int
) -> None:
    async def find(n: int) -> list[str]:
        if n > 1:
            raise LookupError("down")
        return []

    source = list_source(find)
    checkpoint = Checkpoint(is_shared=is_shared)
    checkpoint.on_change = lambda: setattr(checkpoint, "is_stored", True)  # a store that saves at once
    adapter = stopped(source, checkpoint=checkpoint)
    assert source._polls == 2
    assert len(adapter.book.logged(INCOMPLETE)) == warnings
