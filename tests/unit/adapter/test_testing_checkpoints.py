"""Tests of authors can stop or kill a source anywhere, and resume it from what it had saved."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from pydantic import PrivateAttr

from adapter.sdk import Client, Context, Event, Field, Incremental, Outcome, Poller, Source
from adapter.sources.sample_source import SampleSource
from adapter.testing import Checkpoints, Deliver, Run, Sink, VirtualClock
from adapter.testing.clock import START

Events = AsyncGenerator[Event, Outcome]
LETTERS = "abcdefgh"


class LetterSource(Source):
    """Sends letters, and saves its position after each of them."""

    keeps_checkpoint = ("pause_s",)
    first: int = Field(0, description="Where to begin.")
    pause_s: int = Field(0, description="How long to wait after a letter.")

    async def events(self, context: Context) -> Events:
        n = context.checkpoint.load() or self.first
        while n < len(LETTERS):
            yield Event("t", LETTERS[n], id=f"id-{LETTERS[n]}")
            n += 1
            context.checkpoint.save(n)
            await context.clock.sleep_until(context.clock.now() + timedelta(seconds=self.pause_s))


class HastySource(LetterSource):
    """Wrong: what it saves counts as delivered, and it saves before the yield."""

    async def events(self, context: Context) -> Events:
        for n in range(context.checkpoint.load() or 0, len(LETTERS)):
            context.checkpoint.save(n + 1)
            yield Event("t", LETTERS[n], id=f"id-{LETTERS[n]}")


class AnonymousSource(LetterSource):
    """Wrong: its events have no ids of their own."""

    async def events(self, context: Context) -> Events:
        for n in range(context.checkpoint.load() or 0, len(LETTERS)):
            yield Event("t", LETTERS[n])
            context.checkpoint.save(n + 1)


class RenamingSource(LetterSource):
    """Wrong: the ids depend on the process."""

    async def events(self, context: Context) -> Events:
        first = context.checkpoint.load() or 0
        for n in range(first, len(LETTERS)):
            yield Event("t", LETTERS[n], id=f"{LETTERS[n]}-{first}")
            context.checkpoint.save(n + 1)


class BackwardSource(LetterSource):
    """Wrong: after a restart, it sends what is left in the opposite order."""

    async def events(self, context: Context) -> Events:
        first = context.checkpoint.load()
        rest = range(len(LETTERS)) if first is None else [first, *range(len(LETTERS) - 1, first, -1)]
        for n in rest:
            yield Event("t", LETTERS[n], id=LETTERS[n])
            context.checkpoint.save(n + 1)


class WaveringSource(LetterSource):
    """Wrong: between two changes, it has saved too much."""

    async def events(self, context: Context) -> Events:
        for n in range(context.checkpoint.load() or 0, len(LETTERS)):
            context.checkpoint.save(n + 1)
            context.checkpoint.save(n)
            yield Event("t", LETTERS[n], id=LETTERS[n])


class ForgetfulSource(Source):
    """Sends all letters after each start: its position is in memory only."""

    _next: int = PrivateAttr(0)

    async def events(self, context: Context) -> Events:
        while self._next < len(LETTERS):
            yield Event("t", LETTERS[self._next], id=LETTERS[self._next])
            self._next += 1


class ClosingSource(LetterSource):
    """Saves once more when it ends."""

    @asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        yield
        context.checkpoint.save("closed")


class OrderSource(Poller):
    """Polls the orders that are not older than the newest one so far. Each poll finds two more."""

    event_types = ("t",)
    since = Incremental("number", lag=1)
    _polls: int = PrivateAttr(0)

    async def poll(self, client: Client) -> list[Event]:
        since, self._polls = self.since.value or 0, self._polls + 1
        return [Event("t", {"number": n}, id=f"order-{n}") for n in (since, since + 1, since + 2)]


class LastSource(LetterSource):
    """Wrong for the last letter only."""

    async def events(self, context: Context) -> Events:
        for n in range(context.checkpoint.load() or 0, len(LETTERS)):
            if n == len(LETTERS) - 1:
                context.checkpoint.save(n + 1)
            yield Event("t", LETTERS[n], id=LETTERS[n])
            context.checkpoint.save(n + 1)


SEEN: list[datetime] = []  # the times at which a ClockSource began


class ClockSource(Source):
    """Notes the time at which it begins."""

    async def events(self, context: Context) -> Events:
        SEEN.append(context.clock.now())
        yield Event("t")


def data(events: list[Event]) -> str:
    return "".join(event.data for event in events)


def test_next_call_resumes_after_an_ordered_stop(run: Run) -> None:
    saved = Checkpoints()
    assert saved.value is None
    assert data(run(LetterSource(), 3, checkpoint=saved)) == "abc"
    assert saved.value == 3
    assert data(run(LetterSource(), 2, checkpoint=saved)) == "de"


def test_event_of_a_kill_is_sent_again(run: Run) -> None:
    saved = Checkpoints()
    assert data(run(LetterSource(), 3, checkpoint=saved, cut=True)) == "abc"
    assert saved.value == 2
    assert data(run(LetterSource(), 3, checkpoint=saved)) == "cde"


def test_kill_before_the_last_changes_were_stored_repeats_their_events(run: Run) -> None:
    saved = Checkpoints()
    run(LetterSource(), 5, checkpoint=saved, cut=True, unsaved=2)
    assert data(run(LetterSource(), 4, checkpoint=saved)) == "cdef"


def test_kill_before_the_first_change_was_stored_starts_anew_or_where_the_last_process_ended(run: Run) -> None:
    saved = Checkpoints()
    run(LetterSource(), 2, checkpoint=saved, cut=True, unsaved=9)
    assert saved.value is None
    run(LetterSource(), 2, checkpoint=saved)
    run(LetterSource(), 3, checkpoint=saved, cut=True, unsaved=9)
    assert data(run(LetterSource(), 1, checkpoint=saved)) == "c"


def test_kill_reveals_a_source_that_saves_before_the_yield(run: Run) -> None:
    saved = Checkpoints()
    [*_, killed] = run(HastySource(), 3, checkpoint=saved, cut=True)
    assert run(HastySource(), 1, checkpoint=saved) != [killed]


@pytest.mark.parametrize(
    "source",
    [LetterSource(), LetterSource(pause_s=3600), ForgetfulSource(), SampleSource(), OrderSource()],
    ids=repr,
)
def test_check_cuts_accepts_a_source_that_loses_nothing(source: Source) -> None:
    Checkpoints.check_cuts(source, ticks=4)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (HastySource(), r"HastySource was killed while it sent event 1, 'id-a'; the next process sent 'id-b' first\."),
        (AnonymousSource(), r"event 1 of AnonymousSource has no id; write Event\(id=\.\.\.\), so that it is the same "),
        (RenamingSource(), r"killed while it sent event 2, 'b-0'; the next process sent 'b-1' first\."),
        (WaveringSource(), r"killed while it sent event 1, 'a'; the next process sent 'b' first\."),
        (BackwardSource(), r"killed while it sent event 2, 'b'; the next process sent \['b', 'h', 'g'\], not \['b', "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_check_cuts_says_what_a_source_does_wrong(source: Source, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        Checkpoints.check_cuts(source, ticks=4)


def test_check_cuts_reveals_the_loss_of_the_last_event() -> None:
    with pytest.raises(
        AssertionError, match=r"nothing \(LastSource ended after 0 of 1 events\)\. Save after the yield"
    ):
        Checkpoints.check_cuts(LastSource(), ticks=len(LETTERS))


def test_another_upstream_starts_anew_and_a_field_that_keeps_the_checkpoint_does_not(run: Run) -> None:
    saved = Checkpoints()
    run(LetterSource(), 2, checkpoint=saved)
    assert data(run(LetterSource(first=4), 1, checkpoint=saved)) == "e"
    assert data(run(LetterSource(pause_s=1), 1, checkpoint=saved)) == "c"


def test_each_call_gets_a_new_object_and_the_source_of_the_test_stays_as_it_is(run: Run) -> None:
    source, saved = ForgetfulSource(), Checkpoints()
    for _ in range(2):
        assert data(run(source, 3, checkpoint=saved)) == "abc"
    assert source._next == 0


def test_time_goes_on_between_the_calls(run: Run) -> None:
    saved, source = Checkpoints(), LetterSource(pause_s=3600)
    run(source, 2, checkpoint=saved, cut=True)
    run(ClockSource(), 1, checkpoint=saved)
    assert SEEN.pop() == START + timedelta(hours=1)


def test_clock_of_the_test_wins(run: Run) -> None:
    saved = Checkpoints()
    run(ClockSource(), 1, checkpoint=saved, clock=VirtualClock(START + timedelta(days=2)))
    run(ClockSource(), 1, checkpoint=saved)
    assert [SEEN.pop(), SEEN.pop()] == [START + timedelta(days=2)] * 2


def test_what_a_source_saves_at_its_end_is_stored_after_a_stop_and_not_after_a_kill(run: Run) -> None:
    saved = Checkpoints()
    run(ClosingSource(), 2, checkpoint=saved, cut=True)
    assert saved.value == 1
    run(ClosingSource(), 1, checkpoint=saved)
    assert saved.value == "closed"


def test_deliver_resumes_and_a_kill_repeats_an_event_with_the_same_id(deliver: Deliver, sink: Sink) -> None:
    saved = Checkpoints()
    assert deliver(LetterSource(), sink, 2, checkpoint=saved) == [Outcome.DELIVERED] * 2
    assert deliver(LetterSource(), sink, 2, checkpoint=saved, cut=True) == [Outcome.DELIVERED] * 2
    deliver(LetterSource(), sink, 2, checkpoint=saved)
    assert [event["id"] for event in sink.taken] == [f"id-{letter}" for letter in "abcdde"]


def test_poller_is_resumed_with_its_cursor(run: Run) -> None:
    saved = Checkpoints()
    numbers = [event.data["number"] for event in run(OrderSource(), 5, checkpoint=saved)]
    assert (numbers, saved.value["cursors"]) == ([0, 1, 2, 3, 4], {"number": 4})
    assert run(OrderSource(), 1, checkpoint=saved)[0].data == {"number": 5}


def test_timer_is_resumed_with_the_tick_of_the_kill(run: Run) -> None:
    saved = Checkpoints()
    killed = run(SampleSource(), 3, checkpoint=saved, cut=True)
    assert killed[-1] in run(SampleSource(), 2, checkpoint=saved)


def test_unsaved_changes_without_a_kill_are_a_mistake(run: Run) -> None:
    with pytest.raises(ValueError, match="unsaved has no effect without cut=True"):
        run(LetterSource(), 1, checkpoint=Checkpoints(), unsaved=1)


def test_value_that_is_not_json_fails_the_test(run: Run) -> None:
    class WrongSource(Source):
        async def events(self, context: Context) -> Events:
            yield Event("t")
            context.checkpoint.save({1, 2})

    with pytest.raises(TypeError, match=r"context\.checkpoint\.save\(\) takes JSON values"):
        run(WrongSource(), 1, checkpoint=Checkpoints())
