"""Polls under a virtual clock: when, what is sent of what they find, and what a broken upstream costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest

from adapter import __version__
from adapter.contract.durations import Interval
from adapter.model import clock as clocks
from adapter.model.clock import SystemClock
from adapter.polling import progress as polling
from adapter.polling.client import REDIRECTS
from adapter.sdk import Event, Field, Outcome, Poller, PollFailed, Unchanged
from tests.unit.adapter.polling.polling_run import MINUTE, Run, Scripted, run


def answers(*outcomes: Outcome) -> Callable[[Event], Outcome]:
    queue = list(outcomes)
    return lambda event: queue.pop(0)


def test_the_first_poll_comes_at_once_and_the_others_at_the_sources_own_times() -> None:
    polls = run([], [], [])
    polls.ids()
    assert polls.clock.sleeps == [MINUTE.due(0), MINUTE.due(1), MINUTE.due(2)]


def test_slow_polls_do_not_add_up_and_those_that_are_late_are_not_caught_up() -> None:
    polls = Run(Scripted(steps=[["a"], ["b"], []]))

    def slow(event: Event) -> Outcome:
        polls.clock.advance(200 if event.id == "b" else 10)
        return Outcome.DELIVERED

    polls.answer = slow
    polls.ids()
    assert polls.clock.sleeps == [MINUTE.due(n) for n in (0, 4, 5)]  # 200 s are three polls


def test_an_item_is_sent_once_however_often_it_is_found() -> None:
    assert run(["a", "b"], ["b", "a", "c", "c"], ["c"]).ids() == ["a", "b", "c"]


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.DEAD_LETTERED, Outcome.REJECTED])
def test_an_item_that_is_done_with_does_not_come_again(outcome: Outcome) -> None:
    polls = Run(Scripted(steps=[["a"], ["a", "b"]]), answers(outcome, outcome))
    assert polls.ids() == ["a", "b"]


def test_an_item_the_sink_did_not_take_ends_the_poll_and_comes_again_before_those_behind_it() -> None:
    steps = [["a", "b", "c"], ["a", "b", "c"], ["a", "b", "c"]]
    polls = Run(Scripted(steps=steps), answers(Outcome.DELIVERED, Outcome.GAVE_UP, *[Outcome.DELIVERED] * 2))
    assert polls.ids() == ["a", "b", "b", "c"]
    assert polls.outcomes == ["ok", "ok", "ok"]


def test_the_window_of_known_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "WINDOW", 3)
    assert run(["a", "b", "c"], ["d"], ["a", "c"]).ids() == ["a", "b", "c", "d", "a"]


def test_what_is_still_listed_stays_known_however_many_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "WINDOW", 3)
    assert run(["pinned", "1"], ["pinned", "2"], ["pinned", "3"], ["pinned", "4"], ["pinned"]).ids() == [
        "pinned", "1", "2", "3", "4",
    ]  # fmt: skip


def test_ten_thousand_items_are_known() -> None:
    many = [str(n) for n in range(polling.WINDOW)]
    assert polling.WINDOW == 10_000
    assert len(run(many, many).ids()) == polling.WINDOW


def test_the_first_poll_may_only_take_note_of_what_is_there() -> None:
    polls = run(["a", "b"], ["b", "c"], note=True)
    assert polls.ids() == ["c"]


def test_what_is_there_is_taken_note_of_by_the_first_poll_that_succeeds() -> None:
    assert run(PollFailed("down"), ["a"], ["a", "b"], note=True).ids() == ["b"]


class Cursor(Poller):
    """A generator with a cursor; ``ended`` tells which polls got to their end, ``closed`` which were let go."""

    ended: list[int] = Field(default=[], description="Polls.")
    closed: list[int] = Field(default=[], description="Polls.")

    async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
        n = len(self.closed)
        if n == 3:
            raise KeyboardInterrupt
        try:
            for id in "ab":
                yield Event(type="t", id=id)
            self.ended.append(n)
        finally:
            self.closed.append(n)


def test_what_stands_after_the_last_yield_runs_once_the_sink_has_all_items() -> None:
    polls = Run(Cursor(), answers(Outcome.DELIVERED, Outcome.GAVE_UP, Outcome.DELIVERED))
    assert polls.ids() == ["a", "b", "b"]
    assert isinstance(polls.source, Cursor)
    assert polls.source.ended == [1, 2]
    assert polls.source.closed == [0, 1, 2]


def test_an_upstream_where_nothing_changed_is_counted_as_that_and_is_a_success() -> None:
    polls = run(["a"], Unchanged(), *[PollFailed("x")] * 3, Unchanged())
    polls.ids()
    assert polls.outcomes == ["ok", "unchanged", *["failed"] * 3, "unchanged"]
    assert polls.troubles[-1] is None


def test_every_outcome_is_there_from_the_start() -> None:
    polls = run()
    polls.ids()
    assert polls.polled == [("ok", 0), ("unchanged", 0), ("failed", 0)]


def test_items_side_by_side_are_refused_when_the_class_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Wide\.workers\(\): a Poller sends its items in order; remove the method"):

        class Wide(Poller):
            def workers(self) -> int:
                return 2


def test_the_client_is_careful_and_is_closed_at_the_end() -> None:
    seen: list[httpx2.AsyncClient] = []

    class Looks(Poller):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            seen.append(client)
            raise KeyboardInterrupt

    Run(Looks()).ids()
    (client,) = seen
    assert client.headers["user-agent"] == f"sample-source/{__version__}"
    assert (client.follow_redirects, client.max_redirects, client.trust_env) == (True, REDIRECTS, False)
    assert client.timeout.read
    assert client.is_closed


class SetClock(SystemClock):
    """The machine's clock, ``behind`` by so much."""

    behind = timedelta()

    def now(self) -> datetime:
        return super().now() - self.behind


def test_a_clock_that_is_set_back_stops_no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "SET_BACK_S", 0.05)
    clock = SetClock()

    class Sets(Scripted):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            if len(self.steps) == 2:  # while the next poll is waited for
                asyncio.get_running_loop().call_later(0.02, setattr, clock, "behind", timedelta(hours=1))
            return await super().poll(client)

    polls = Run(Sets(steps=[["a"], ["b"], ["c"]], interval=Interval("100ms")))
    polls.context = replace(polls.context, clock=clock)
    assert polls.ids() == ["a", "b", "c"]
    assert clock.behind == timedelta(hours=1)
