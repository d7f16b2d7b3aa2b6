"""Several processes of one source save their positions in one store. Calls are late, come out of order, or fail.

The upstream is the numbers 1, 2, 3, …. A process acknowledges them in order, and its position is the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapter.checkpoints.saver import Saver
from adapter.checkpoints.store import MemoryStore, Record, Store, StoreError
from adapter.model.checkpoint import Checkpoint
from adapter.testing.clock import VirtualClock
from tests.logbook import Logbook

APPLIED, FAILED, ANSWER_LOST = "applied", "failed before the write", "applied, but the answer was lost"
answers = st.sampled_from((APPLIED, FAILED, ANSWER_LOST))
picks = st.integers(min_value=0)  # of a list, modulo its length


class UncheckedStore(MemoryStore):
    """Replaces its record without a look at the versions."""

    async def save(self, record: Record) -> int:
        self.record = record
        return record.version


@dataclass
class Call:
    """A call of save that has left its process. The server may get it at any time, even if the process is dead."""

    record: Record
    answer: asyncio.Future[int]


@dataclass
class Network:
    """The store of one process. Its calls wait for an answer, which is ``at_once`` if it is set."""

    server: Store
    calls: list[Call]
    at_once: str | None = None
    alive: bool = True

    async def load(self) -> Record | None:
        return await self.server.load()

    async def save(self, record: Record) -> int:
        if not self.alive:
            raise StoreError("the process is dead")
        call = Call(record, asyncio.get_running_loop().create_future())
        if self.at_once:
            await answer(self.server, call, self.at_once)
        else:
            self.calls.append(call)
        return await call.answer

    async def aclose(self) -> None:
        pass


async def answer(server: Store, call: Call, how: str) -> None:
    stored = None if how == FAILED else await server.save(call.record)
    if call.answer.done():
        return  # the process has given up
    if stored is None or how == ANSWER_LOST:
        call.answer.set_exception(StoreError(how))
    else:
        call.answer.set_result(stored)


@dataclass
class Process:
    """It acknowledges and saves. Its steps count versions as those of any other process do."""

    network: Network
    saver: Saver = field(init=False)
    position: int = 0
    task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        # The time for the end of a process that is further does not pass: the laws are those of the version check.
        self.saver = Saver(Checkpoint(), self.network, VirtualClock(), Logbook().log, monotonic=lambda: 0.0)
        await self.saver.open()
        value: Any = self.saver.checkpoint.load()
        self.position = value or 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self.saver:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        assert self.task
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class CheckpointMachine(RuleBasedStateMachine):
    """Subclasses set ``make_store``. ``saves_first``: the mistake of a source that saves before the acknowledgement."""

    make_store: Callable[[], Store] = MemoryStore
    saves_first = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.server: Store = self.make_store()
        self.calls: list[Call] = []
        self.processes: list[Process] = []
        self.acknowledged = 0  # all numbers up to it
        self.stored = 0

    def wait(self, step: Any) -> Any:
        result = self.loop.run_until_complete(step)
        for _ in range(20):  # lets the savers do what they can without an answer
            self.loop.run_until_complete(asyncio.sleep(0))
        return result

    def position_in_store(self) -> int:
        record = self.loop.run_until_complete(self.server.load())
        value: Any = record.value if record else 0
        return int(value)

    @precondition(lambda self: len(self.processes) < 3)
    @rule()
    def start(self) -> None:
        process = Process(Network(self.server, self.calls))
        self.wait(process.start())
        assert process.position == self.position_in_store()
        self.processes.append(process)

    @precondition(lambda self: self.processes)
    @rule(pick=picks, count=st.integers(1, 3))
    def acknowledge(self, pick: int, count: int) -> None:
        process = self.processes[pick % len(self.processes)]
        for _ in range(count):
            process.position += 1
            process.saver.checkpoint.save(process.position + self.saves_first)
            self.acknowledged = max(self.acknowledged, process.position)
        self.wait(asyncio.sleep(0))

    @precondition(lambda self: self.calls)
    @rule(pick=picks, how=answers)
    def answer(self, pick: int, how: str) -> None:
        self.wait(answer(self.server, self.calls.pop(pick % len(self.calls)), how))

    @precondition(lambda self: self.processes)
    @rule(pick=picks)
    def crash(self, pick: int) -> None:
        process = self.processes.pop(pick % len(self.processes))
        process.network.alive = False
        self.wait(process.stop())

    @precondition(lambda self: self.processes)
    @rule(pick=picks, how=answers)
    def stop(self, pick: int, how: str) -> None:
        process = self.processes.pop(pick % len(self.processes))
        process.network.at_once = how
        self.wait(process.stop())
        if how != FAILED:
            assert self.position_in_store() >= process.position

    @invariant()
    def stored_position_never_decreases(self) -> None:
        before, self.stored = self.stored, self.position_in_store()
        assert self.stored >= before

    @invariant()
    def stored_position_covers_only_what_was_acknowledged(self) -> None:
        assert self.position_in_store() <= self.acknowledged

    def teardown(self) -> None:
        """Once the store answers, it has the position of each process that runs."""
        try:
            while self.calls:
                self.answer(pick=0, how=APPLIED)
            assert self.position_in_store() >= max((process.position for process in self.processes), default=0)
        finally:
            while self.processes:
                self.crash(pick=0)
            self.wait(self.server.aclose())
            self.loop.close()
