"""The store of checkpoints was restored from a backup, or lost its data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from copy import deepcopy

from adapter.checkpoints.saver import Saver
from adapter.checkpoints.store import MemoryStore, Record
from adapter.model.checkpoint import Checkpoint
from adapter.sdk import Context, Event, Outcome, Source
from adapter.testing import Checkpoints, Run, VirtualClock
from tests.logbook import Logbook


class NumberSource(Source):
    """Sends the natural numbers."""

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        number = context.checkpoint.load() or 0
        while True:
            yield Event("t", number, id=str(number))
            number += 1
            context.checkpoint.save(number)


def numbers(events: list[Event]) -> list[int]:
    return [event.data for event in events]


def test_process_that_starts_with_an_older_record_repeats_the_events_since_then(run: Run) -> None:
    saved = Checkpoints()
    run(NumberSource(), 3, checkpoint=saved)
    backup = deepcopy(saved)
    run(NumberSource(), 4, checkpoint=saved)
    assert numbers(run(NumberSource(), 6, checkpoint=backup)) == [3, 4, 5, 6, 7, 8]


def test_running_process_replaces_an_older_record() -> None:
    async def check() -> None:
        store, checkpoint = MemoryStore(), Checkpoint(is_shared=True)
        await store.save(Record(7, "now"))
        saver = Saver(checkpoint, store, VirtualClock(), Logbook().log)
        await saver.open()
        async with saver:
            store.record = Record(5, "backup")
            checkpoint.save("later")
        assert store.record == Record(8, "later")

    asyncio.run(check())


def test_process_that_starts_without_the_lost_record_starts_as_the_first_one_did(run: Run) -> None:
    run(NumberSource(), 3, checkpoint=Checkpoints())
    assert numbers(run(NumberSource(), 2, checkpoint=Checkpoints())) == [0, 1]
