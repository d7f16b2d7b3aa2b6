"""The saver loads a checkpoint before the source starts, and saves its changes while the source runs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import pairwise

from adapter.checkpoints.saver import SILENT_S, Saver
from adapter.checkpoints.store import MemoryStore, Record, Store
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import SystemClock
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook
from tests.unit.adapter.checkpoints.stores import DOWN, Faulty, Slow
from tests.unit.adapter.fake_adapter import until, within_deadline


class Steps:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class HeldClock(VirtualClock):
    """Its sleeps end when ``passed`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = asyncio.Event()

    async def sleep_until(self, deadline: datetime) -> None:
        self.sleeps.append(deadline)
        await self.passed.wait()


def saver_of(
    store: Store | None, clock: VirtualClock | None = None, steps: Steps | None = None, book: Logbook | None = None
) -> Saver:
    return Saver(Checkpoint(), store, clock or VirtualClock(), (book or Logbook()).log, monotonic=steps or Steps())


def test_source_starts_with_the_value_and_the_version_of_the_store() -> None:
    async def test() -> None:
        store = MemoryStore()
        store.record = Record(7, {"cursor": "c"})
        saver = saver_of(store)
        await saver.open()
        assert (saver.checkpoint.version, saver.checkpoint.load()) == (7, {"cursor": "c"})

    within_deadline(test())


def test_source_without_a_store_keeps_its_value_in_memory() -> None:
    async def test() -> None:
        saver = saver_of(None)
        await saver.open()
        async with saver:
            saver.checkpoint.save(3)
        await saver.aclose()
        assert (saver.checkpoint.load(), saver.age_s()) == (3, 0)

    within_deadline(test())


def test_first_change_is_saved_at_once_and_later_ones_100_ms_after_it() -> None:
    async def test() -> None:
        store, clock = Faulty(), HeldClock()
        saver = saver_of(store, clock)
        async with saver:
            for value in range(5):
                saver.checkpoint.save(value)
            await until(lambda: clock.sleeps)
            assert store.saved == [Record(5, 4)]
            saver.checkpoint.save(5)
            saver.checkpoint.save(6)
            await asyncio.sleep(0)
            assert len(store.saved) == 1
            assert (clock.sleeps[0] - clock.now()).total_seconds() == 0.1
            clock.passed.set()
            await until(lambda: len(store.saved) == 2)
        assert store.saved == [Record(5, 4), Record(7, 6)]

    within_deadline(test())


def test_nothing_is_written_when_nothing_changed() -> None:
    async def test() -> None:
        store = Faulty()
        store.record = Record(1, "a")
        saver = saver_of(store)
        await saver.open()
        async with saver:
            for _ in range(10):
                await asyncio.sleep(0)
        assert store.saved == []

    within_deadline(test())


def test_a_thousand_changes_a_second_are_at_most_ten_saves_a_second() -> None:
    async def test() -> None:
        store = Faulty()
        saver = Saver(Checkpoint(), store, SystemClock(), Logbook().log)
        loop = asyncio.get_running_loop()
        started, times = loop.time(), []
        async with saver:
            while loop.time() - started < 0.55:
                saver.checkpoint.save(loop.time())
                times.append(len(store.saved))
                await asyncio.sleep(0.001)
            took_s = loop.time() - started
        assert times[-1] <= took_s / 0.1 + 1
        assert store.record
        assert store.record.value == saver.checkpoint.load()

    within_deadline(test())


def test_value_that_changes_during_a_save_is_saved_next() -> None:
    async def test() -> None:
        store = Slow()
        saver = saver_of(store)
        async with saver:
            saver.checkpoint.save("first")
            await until(lambda: store.begun)
            saver.checkpoint.save("second")
            store.answers.release()
            await until(lambda: len(store.begun) == 2)
            store.answers.release()
            await until(lambda: store.record and store.record.version == 2)
        assert store.begun == [Record(1, "first"), Record(2, "second")]

    within_deadline(test())


def test_last_change_is_saved_at_the_stop_even_if_a_save_is_running() -> None:
    async def test() -> None:
        store = Slow()
        saver = saver_of(store)
        async with saver:
            saver.checkpoint.save("first")
            await until(lambda: store.begun)
            saver.checkpoint.save("last")
            store.answers.release()
        assert store.record == Record(2, "last")

    within_deadline(test())


def test_last_change_is_saved_when_the_source_fails() -> None:
    async def test() -> None:
        store = Faulty()
        saver = saver_of(store)
        try:
            async with saver:
                saver.checkpoint.save("last")
                raise LookupError
        except LookupError:
            pass
        assert store.record == Record(1, "last")

    within_deadline(test())


def test_stop_waits_no_longer_than_the_timeout_of_the_last_save() -> None:
    async def test() -> None:
        book = Logbook()
        saver = Saver(Checkpoint(), Slow(), VirtualClock(), book.log, last_save_s=0.05)
        async with saver:
            saver.checkpoint.save(1)
        (line,) = book.logged("not saved before the end")
        assert (line["level"], line["reason"]) == ("warn", "the store did not answer in time")

    within_deadline(test())


def test_last_save_is_tried_three_times() -> None:
    async def test() -> None:
        store, book = Faulty(DOWN), Logbook()
        saver = saver_of(store, book=book)
        async with saver:
            saver.checkpoint.save(1)
        assert len(store.saved) == 3
        (line,) = book.logged("not saved before the end; the next start repeats events")
        assert line["reason"] == str(DOWN)

    within_deadline(test())


def test_store_that_is_down_at_the_start_is_waited_for() -> None:
    async def test() -> None:
        store, clock, book = Faulty(DOWN), HeldClock(), Logbook()
        store.record = Record(2, "b")
        saver = saver_of(store, clock, book=book)
        opening = asyncio.create_task(saver.open())
        await until(lambda: clock.sleeps)
        assert saver.unready_reason == f"the checkpoint cannot be loaded: {DOWN}"
        store.error = None
        clock.passed.set()
        await opening
        assert (saver.unready_reason, saver.checkpoint.load()) == (None, "b")
        assert [line["level"] for line in book.logged("checkpoint")] == ["warn", "info"]

    within_deadline(test())


def test_retries_wait_at_most_8_seconds() -> None:
    async def test() -> None:
        clock = VirtualClock()
        saver = saver_of(Faulty(DOWN), clock)
        opening = asyncio.create_task(saver.open())
        await until(lambda: len(clock.sleeps) >= 6)
        opening.cancel()
        waits = [(later - earlier).total_seconds() for earlier, later in pairwise([START, *clock.sleeps])]
        assert waits[:6] == [1, 2, 4, 8, 8, 8]

    within_deadline(test())


def test_store_that_is_down_later_is_one_warning_then_one_line_when_it_is_back() -> None:
    async def test() -> None:
        store, steps, book = Faulty(DOWN), Steps(), Logbook()
        saver = saver_of(store, steps=steps, book=book)
        async with saver:
            saver.checkpoint.save(1)
            await until(lambda: len(store.saved) >= 3)
            steps.now_s = 30
            saver.checkpoint.save(2)
            assert saver.age_s() == 30  # of the first change that is not saved
            store.error = None
            await until(lambda: store.record and not saver.age_s())
            assert store.record == Record(2, 2)
            await until(lambda: book.logged("checkpoint saved"))
        (warning,) = book.logged("checkpoint not saved; will retry")[:1]
        assert (warning["reason"], warning["age_s"], warning["count"]) == (str(DOWN), 0, 1)
        (back,) = book.logged("checkpoint saved")
        assert (back["level"], int(str(back["failed_attempts"])) >= 3) == ("info", True)

    within_deadline(test())


def test_age_counts_from_the_change_also_while_a_save_is_running() -> None:
    async def test() -> None:
        store, steps = Slow(), Steps()
        saver = saver_of(store, steps=steps)
        async with saver:
            assert saver.age_s() == 0
            saver.checkpoint.save(1)
            await until(lambda: store.begun)
            steps.now_s = 4
            assert saver.age_s() == 4
            saver.checkpoint.save(2)
            steps.now_s = 5
            saver.checkpoint.save(3)
            assert saver.age_s() == 5
            store.answers.release()
            await until(lambda: len(store.begun) == 2)
            assert saver.age_s() == 1  # the value of the first change is saved
            store.answers.release()
            await until(lambda: not saver.age_s())

    within_deadline(test())


def test_age_and_saves_do_not_depend_on_the_wall_clock() -> None:
    async def test() -> None:
        for jump_s in (-86_400, 86_400):
            store, clock = Faulty(), VirtualClock()
            saver = saver_of(store, clock)
            async with saver:
                saver.checkpoint.save(1)
                await until(lambda store=store: store.saved)
                clock.advance(jump_s)
                saver.checkpoint.save(2)
                assert saver.age_s() == 0
                await until(lambda store=store: len(store.saved) == 2)

    within_deadline(test())


def test_unexpected_exception_of_a_store_ends_nothing_and_its_text_is_not_shown() -> None:
    async def test() -> None:
        store, book = Faulty(RuntimeError("password=s3cret")), Logbook()
        saver = saver_of(store, book=book)
        opening = asyncio.create_task(saver.open())
        await until(lambda: store.loads >= 2)
        assert saver.unready_reason == "the checkpoint cannot be loaded: RuntimeError"
        store.error = None
        await opening
        store.error = RuntimeError("password=s3cret")
        async with saver:
            saver.checkpoint.save(1)
            await until(lambda: len(store.saved) >= 2)
            store.error = None
            await until(lambda: store.record)
        assert "s3cret" not in book.text

    within_deadline(test())


def test_value_that_cannot_be_made_is_retried() -> None:
    async def test() -> None:
        store = Faulty()
        saver = saver_of(store)
        made = iter([ValueError("seen=s3cret")])

        def make() -> str:
            if error := next(made, None):
                raise error
            return "value"

        async with saver:
            saver.checkpoint.save_later(make)
            await until(lambda: store.record)
        assert store.record == Record(1, "value")

    within_deadline(test())


def test_record_of_a_process_that_is_further_stays() -> None:
    async def test() -> None:
        store, steps = Faulty(), Steps()
        saver = saver_of(store, steps=steps)
        store.record = Record(100, "theirs")
        async with saver:
            for value in range(3):
                saver.checkpoint.save(value)
                await until(lambda value=value: store.saved[-1:] == [Record(value + 1, value)] and not saver.age_s())
                steps.now_s += SILENT_S - 1 if value == 0 else 0
        assert store.record == Record(100, "theirs")

    within_deadline(test())


def test_process_that_counts_fewer_steps_continues_a_minute_after_the_other_one_ended() -> None:
    async def test() -> None:
        store, steps = Faulty(), Steps()
        saver = saver_of(store, steps=steps)
        store.record = Record(100, "theirs")
        async with saver:
            saver.checkpoint.save("a")
            await until(lambda: store.saved and not saver.age_s())
            steps.now_s += SILENT_S
            saver.checkpoint.save("b")
            await until(lambda: store.record == Record(102, "b"))  # still even, as a poller has to know
            saver.checkpoint.save("c")
        assert store.record == Record(103, "c")

    within_deadline(test())


def test_process_continues_below_the_version_of_another_one_that_still_saves() -> None:
    async def test() -> None:
        store, steps = Faulty(), Steps()
        saver = saver_of(store, steps=steps)
        async with saver:
            for n in range(3):
                store.record = Record(100 + n, "theirs")
                saver.checkpoint.save(n)
                await until(lambda n=n: len(store.saved) > n and not saver.age_s())
                steps.now_s += SILENT_S
        assert store.record == Record(102, "theirs")

    within_deadline(test())


def test_record_of_an_idle_source_is_refreshed() -> None:
    async def test() -> None:
        store = Faulty()
        store.record = Record(4, "d")
        book = Logbook()
        saver = Saver(Checkpoint(), store, VirtualClock(), book.log, refresh_s=0.001)
        await saver.open()
        async with saver:
            await until(lambda: store.loads >= 3)
            assert store.saved == []
            store.record = None  # the server lost it
            await until(lambda: store.record)
            assert store.record == Record(4, "d")
            store.error = DOWN
            await until(lambda: book.logged("checkpoint not refreshed"))
            store.error = None

    within_deadline(test())
