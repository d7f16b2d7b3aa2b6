"""A poller is cut short in many ways, in virtual time. It loses no item and repeats none that was saved."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from adapter.checkpoints.store import MemoryStore, Record
from adapter.polling.poller import position_of
from adapter.sdk import Context, Event, Outcome
from tests.property.cuts.cuts import ALL, KEEPING_THE_POD, Cut, edit, kill, lose_record, overlap, run_with_cuts, stop
from tests.property.cuts.upstreams import URL, ListSource, Pages, PageSource, SlidingList, scripted_items
from tests.property.cuts.virtual_loop import VirtualLoop, run_virtually
from tests.property.cuts.world import Lost, World, owned_task

LONG = bool(os.environ.get("LONG"))
CUTS, ITEMS = (1000, 100_000) if LONG else (15, 1500)
LIST_FIELDS = {"url": URL, "interval": "2s"}
LIST_EDITS = {"interval": ["1s", "2s", "3s"], "eventType": ["a", "b"], "start": ["now", "now", "earliest"]}
PAGE_EDITS = {"interval": ["1s", "2s", "3s"], "skips": [True, True, False]}


def run(
    make: Any,
    upstream: type[SlidingList],
    cuts: list[Cut],
    *,
    is_shared: bool,
    seed: int = 1,
    count: int = CUTS,
    edits: dict[str, list[Any]] | None = None,
    **more: Any,
) -> World:
    """Run a source with cuts; ``Lost`` if a law does not hold."""
    worlds: list[World] = []
    is_list = upstream is SlidingList

    async def test(loop: VirtualLoop) -> None:
        loop.set_task_factory(owned_task)
        random = Random(seed)
        items = scripted_items(count * ITEMS // CUTS, random, upstream.late_s)
        world = World(loop, random, upstream(items), lambda fields: make.model_validate(fields), is_shared, **more)
        world.fields = dict(LIST_FIELDS) if is_list else {"interval": "2s"}
        world.editable = edits or (LIST_EDITS if is_list else PAGE_EDITS)
        worlds.append(world)
        try:
            await run_with_cuts(world, cuts, count)
        finally:
            await world.end()

    run_virtually(test)
    return worlds[0]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "pod"])
@pytest.mark.parametrize(("make", "upstream"), [(ListSource, SlidingList), (PageSource, Pages)], ids=["list", "pages"])
def test_poller_loses_no_item_and_repeats_no_saved_item(
    make: Any, upstream: type[SlidingList], is_shared: bool
) -> None:
    """``pod``: with the cuts that keep the pod."""
    world = run(make, upstream, ALL if is_shared else KEEPING_THE_POD, is_shared=is_shared)
    repeats = sum(world.answered.values()) - len(world.answered)
    print(f"{len(world.processes)} processes, {world.saves} saves, {repeats} repeats, {world.loop.time():.0f} s")
    assert len(world.processes) > 5


@pytest.mark.parametrize(("make", "upstream"), [(ListSource, SlidingList), (PageSource, Pages)], ids=["list", "pages"])
def test_poller_loses_no_item_in_a_rolling_update_that_finds_no_record(make: Any, upstream: type[SlidingList]) -> None:
    """With ordered stops only: after a kill before the first save, a source starts anew."""
    edits, cuts = {"interval": ["1s", "2s", "3s"]}, [lose_record, edit, stop]
    for seed in (4, 9, 10, 11):
        run(make, upstream, cuts, is_shared=True, seed=seed, count=12, edits=edits)


class SavesBeforeTheAnswer(ListSource):
    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        events = super().events(context)
        with suppress(StopAsyncIteration):  # after the last poll
            event = await anext(events)
            while True:
                position_of(self).add(event.id or "", Outcome.DELIVERED)
                event = await events.asend((yield event))


class SkipsAgain(ListSource):
    """Obeys ``start: now`` although there is a checkpoint."""

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:  # type: ignore[override]
        context.checkpoint.save_later(lambda: None, steps=0)
        return super().events(context)


class RestoresValidatorsOnly(ListSource):
    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:  # type: ignore[override]
        if saved := context.checkpoint.load():
            context.checkpoint.restore(context.checkpoint.version, {**saved, "seen": ""})
        return super().events(context)


class CountsPolls(PageSource):
    """Each poll is a step of the checkpoint, so of two processes the one that polls often has the higher version."""

    async def poll(self, client: Any) -> AsyncGenerator[Event, Outcome | None]:  # type: ignore[override]
        async for event in super().poll(client):
            yield event
        position_of(self).checkpoint.version += 20


class AnyVersion(MemoryStore):
    """Writes each record, whatever its version."""

    async def save(self, record: Record) -> bool:
        self.record = record
        return True


@pytest.mark.parametrize(
    ("make", "cuts", "store", "law"),
    [
        pytest.param(SavesBeforeTheAnswer, [kill], MemoryStore, "items were not sent", id="saved-before-the-answer"),
        pytest.param(SkipsAgain, [kill, stop], MemoryStore, "items were not sent", id="skips-again"),
        pytest.param(RestoresValidatorsOnly, [kill, stop], MemoryStore, "was saved before", id="validators-only"),
        pytest.param(ListSource, [overlap], AnyVersion, "was saved before", id="any-version"),
        pytest.param(CountsPolls, [overlap], MemoryStore, "was saved before", id="polls-are-steps"),
    ],
)
def test_laws_fail_for_a_poller_that_breaks_them(make: Any, cuts: list[Cut], store: Any, law: str) -> None:
    def runs() -> None:
        for seed in range(1, 9):
            run(make, upstream, cuts, is_shared=True, seed=seed, count=10, make_store=store)

    upstream = Pages if issubclass(make, PageSource) else SlidingList
    with pytest.raises(Lost, match=law):
        runs()
