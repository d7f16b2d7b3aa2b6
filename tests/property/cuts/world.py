"""A source, its processes, its store, its upstream and its sink in virtual time; and the laws that hold for them.

Runtime, Saver, MemoryStore and Poller are the real ones. What a killed process still does has no effect.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from adapter.checkpoints.saver import Saver
from adapter.checkpoints.store import MemoryStore, Record, StoreError
from adapter.checkpoints.urls import checkpoint_key
from adapter.cloudevents.encode import Message, encode
from adapter.model.checkpoint import Checkpoint
from adapter.model.source import Context
from adapter.observe.metrics import Metrics
from adapter.runtime.deliveries import Drain
from adapter.runtime.runtime import Runtime
from adapter.sdk import Event, Outcome
from tests.property.cuts.upstreams import SlidingList
from tests.property.cuts.virtual_loop import START, LoopClock, VirtualLoop

UID = "6f2c"
OWNER: ContextVar[Process | None] = ContextVar("OWNER", default=None)
LOG = logging.Logger("cuts", logging.CRITICAL + 1)


class Lost(AssertionError):
    """A law does not hold."""


@dataclass
class World:
    """``make`` makes a source from the fields of its spec. ``accepted``: how often the sink got each item."""

    loop: VirtualLoop
    random: Random
    upstream: SlidingList
    make: Callable[[dict[str, Any]], Any]
    is_shared: bool
    make_store: Callable[[], MemoryStore] = MemoryStore
    store_is_down: bool = False
    sink_is_down: bool = False
    sink_rejects: bool = False
    answered: dict[int, int] = field(default_factory=dict)  # item -> how often the sink accepted or refused it
    saved: dict[int, int] = field(default_factory=dict)  # item -> the number of the save that holds its outcome
    saves: int = 0
    broken: list[str] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)  # when the sink accepted or refused an item
    fields: dict[str, Any] = field(default_factory=dict)
    editable: dict[str, list[Any]] = field(default_factory=dict)  # fields that keep the checkpoint, and values
    stores: dict[tuple[str, int], MemoryStore] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def start(self, pod: int = 0) -> Process:
        """``pod``: which pod the process runs in. A store that is not shared belongs to a pod."""
        source = self.make(self.fields)
        key = checkpoint_key(UID, source), 0 if self.is_shared else pod
        process = Process(self, source, self.stores.setdefault(key, self.make_store()), len(self.processes))
        self.processes.append(process)
        return process

    def lose_records(self) -> None:
        """A new process finds no record. Those that run still write into the old store."""
        self.stores.clear()
        self.saved.clear()

    def answered_item(self, number: int, process: Process) -> None:
        """The sink got the item. A law is broken if the process knew, or had loaded, that it was answered before."""
        if number in process.answered:
            self.broken.append(f"process {process.number} sent item {number} twice")
        if self.saved.get(number, process.loaded + 1) <= process.loaded:
            self.broken.append(f"process {process.number} sent item {number}, which was saved before it started")
        self.answered[number] = self.answered.get(number, 0) + 1
        self.answers_s.append(self.loop.time())

    def check(self) -> None:
        """``Lost`` if a law is broken."""
        if self.broken:
            raise Lost(self.broken[0])

    async def end(self) -> None:
        for process in self.processes:
            process.kill()
        await asyncio.wait([process.task for process in self.processes])

    def check_order(self, process: Process) -> None:
        """An item that was listed before another one is sent before it by each process."""
        items = [self.upstream.items[number] for number in process.answered]
        for before, after in itertools.pairwise(items):
            if after.at_s < before.at_s and after.visible_s <= before.visible_s:
                raise Lost(f"process {process.number} sent item {after.number} after item {before.number}")

    def check_all_answered(self) -> None:
        assert self.upstream.first is not None
        due = {item.number for item in self.upstream.items} - self.upstream.first
        if lost := sorted(due - self.answered.keys()):
            seen_s = self.upstream.items[lost[0]].visible_s
            next_s = next((time_s for time_s in self.answers_s if time_s > seen_s), seen_s)
            times = f"the next answer of the sink came {next_s - seen_s:.0f} s after the first"
            raise Lost(f"{len(lost)} items were not sent, such as {lost[:5]}; {times}")


def owned_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """A task factory that notes which process a task belongs to."""
    task = asyncio.Task(coroutine, loop=loop, **options)
    if owner := OWNER.get():
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
    return task


class Process:
    """A process of the source. It is the delivery of its runtime, too."""

    def __init__(self, world: World, source: Any, store: MemoryStore, number: int) -> None:
        self.world, self.number = world, number
        self.is_dead = False
        self.answered: dict[int, None] = {}  # the items whose outcome this process got, in order
        self.loaded = 0  # how many saves there were when it loaded the checkpoint
        source._transport = world.upstream
        clock = LoopClock()
        context = Context("/s", UID, START, clock, LOG, checkpoint=Checkpoint(is_shared=world.is_shared))
        saver = Saver(context.checkpoint, StoreOf(self, store), clock, LOG)
        encoder = partial(encode, source="/s", namespace="ns", overrides={})
        metrics = Metrics("ns", "n", "K")
        self.runtime = Runtime(source, context, encoder, self, metrics, Drain(20), saver=saver)
        self.tasks: set[asyncio.Task[Any]] = set()  # all that the process has created
        context_vars = contextvars.copy_context()
        context_vars.run(OWNER.set, self)
        self.task = asyncio.create_task(self.runtime.run(), context=context_vars)

    def kill(self) -> None:
        self.is_dead = True
        for task in {self.task, *self.tasks}:
            task.cancel()

    async def stop(self) -> None:
        self.runtime.stop()
        await asyncio.wait([self.task])
        self.ended()

    def ended(self) -> None:
        """Raise the exception of the process, if there is one."""
        if self.task.done() and not self.task.cancelled():
            self.task.result()

    async def step(self, seconds: float) -> None:
        """Something outside of the process happens. A dead process never sees it."""
        await asyncio.sleep(seconds)
        if self.is_dead:
            await asyncio.Event().wait()

    async def deliver(self, event: Event, message: Message, **options: Any) -> Outcome:
        number = int(str(event.id))
        await self.step(0.004)
        if self.world.sink_is_down:
            await self.step(0.3)
            return Outcome.GAVE_UP
        outcome = Outcome.REJECTED if self.world.sink_rejects and number % 3 == 0 else Outcome.DELIVERED
        self.world.answered_item(number, self)
        await self.step(0.002)
        self.answered[number] = None
        return outcome

    def unready_reason(self) -> str | None:
        return None

    def count_invalid(self, reason: str) -> None:
        self.world.broken.append(reason)

    def cut_short(self) -> None:
        pass

    def flush(self) -> None:
        pass


class StoreOf:
    """The store as a process sees it. A process can be killed before and after the write."""

    def __init__(self, process: Process, store: MemoryStore) -> None:
        self._process, self._store = process, store
        self._noted = 0  # how many answered items of the process are in a saved record

    async def load(self) -> Record | None:
        await self._reach()
        self._process.loaded = self._process.world.saves
        return await self._store.load()

    async def save(self, record: Record) -> bool:
        answered = len(self._process.answered)
        await self._reach()
        saved = await self._store.save(Record(record.version, json.loads(json.dumps(record.value))))
        world = self._process.world
        if saved and self._store in world.stores.values():
            world.saves += 1
            for number in itertools.islice(self._process.answered, self._noted, answered):
                world.saved.setdefault(number, world.saves)
            self._noted = answered
        await self._process.step(0.001)
        return saved

    async def aclose(self) -> None:
        pass

    async def _reach(self) -> None:
        await self._process.step(0.003)
        if self._process.world.store_is_down:
            raise StoreError("the store is down")
