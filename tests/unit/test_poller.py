"""Polls under a virtual clock: when, what is sent of what they find, and what a broken upstream costs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any

import httpx2
import pytest

from adapter import __version__, clocks, polling
from adapter.clocks import SystemClock
from adapter.durations import Interval
from adapter.polling import REDIRECTS
from adapter.sdk import Context, Event, Field, Outcome, Poller, PollFailed, Unchanged
from adapter.testing.clock import START, VirtualClock
from adapter.timer import Schedule
from tests.logbook import Logbook

UID = "6f2c"
MINUTE = Schedule.of(UID, START, 60_000_000_000)
Found = Sequence[str] | Exception


class Done(Exception):
    """The script is at its end."""


class Scripted(Poller):
    """Finds the ids of each step of ``steps`` in turn; an exception is raised."""

    steps: list[Any] = Field(default=[], description="What each poll finds.")
    note: bool = Field(default=False, description="Whether the first poll only takes note.")

    async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        if not self.steps:
            raise KeyboardInterrupt  # no Exception: it comes out
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return [Event(type="t", id=id) for id in step]

    def takes_note_first(self) -> bool:
        return self.note


class Run:
    """Pulls events until the script is at its end; ``answer`` is what becomes of each."""

    def __init__(self, source: Poller, answer: Callable[[Event], Outcome] = lambda event: Outcome.DELIVERED) -> None:
        self.clock, self.book = VirtualClock(), Logbook()
        self.polled: list[tuple[str, int]] = []
        self.troubles: list[str | None] = []
        self.source, self.answer = source, answer
        self.context = Context(
            UID, UID, START, self.clock, self.book.log,
            polled=lambda outcome, count: self.polled.append((outcome, count)), trouble=self.troubles.append,
        )  # fmt: skip
        self.events: list[Event] = []

    def ids(self) -> list[str | None]:
        async def pull() -> None:
            events = self.source.events(self.context)
            try:
                event = await anext(events)
                while True:
                    self.events.append(event)
                    event = await events.asend(self.answer(event))
            except KeyboardInterrupt as end:
                raise Done from end
            finally:
                await events.aclose()

        with pytest.raises(Done):
            asyncio.run(pull())
        return [event.id for event in self.events]

    @property
    def outcomes(self) -> list[str]:
        return [outcome for outcome, count in self.polled for _ in range(count)]


def run(*steps: Found, note: bool = False, interval: str = "1m") -> Run:
    return Run(Scripted(steps=list(steps), note=note, interval=Interval(interval)))


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


def test_a_broken_upstream_is_said_counted_and_ends_readiness_until_a_poll_succeeds() -> None:
    polls = run(*[PollFailed("answered 500")] * 4, ["a"], [])
    assert polls.ids() == ["a"]
    assert polls.outcomes == ["failed"] * 4 + ["ok"] * 2
    yet, row = "no poll has succeeded yet", "{} polls in a row failed: answered 500"
    failing = [f"{yet}: answered 500"] * 2 + [row.format(3), row.format(4)]
    assert polls.troubles == [yet, *failing, None, None, None]
    first = polls.book.said("poll failed")[0]
    assert (first["level"], first["reason"], first["count"]) == ("warn", "answered 500", 1)
    (recovered,) = polls.book.said("polls succeed again")
    assert recovered["failures_in_a_row"] == 4


def test_two_failures_are_no_trouble_nor_are_three_with_a_success_between() -> None:
    polls = run([], PollFailed("x"), PollFailed("x"), [], PollFailed("x"))
    polls.ids()
    assert polls.troubles == ["no poll has succeeded yet", None, None]


def test_an_upstream_that_answered_is_well_before_the_sink_has_its_items() -> None:
    polls = run(["a", "b"])
    troubles: list[str | None] = []
    polls.answer = lambda event: (troubles.append(polls.troubles[-1]), Outcome.DELIVERED)[1]
    polls.ids()
    assert troubles == [None, None]


def test_an_upstream_that_fails_every_millisecond_does_not_flood_the_log() -> None:
    polls = run(*[PollFailed("x")] * 500, interval="1ms")
    polls.ids()
    assert len(polls.book.lines) == 1


def test_an_upstream_where_nothing_changed_is_counted_as_that_and_is_a_success() -> None:
    polls = run(["a"], Unchanged(), *[PollFailed("x")] * 3, Unchanged())
    polls.ids()
    assert polls.outcomes == ["ok", "unchanged", *["failed"] * 3, "unchanged"]
    assert polls.troubles[-1] is None


def test_every_outcome_is_there_from_the_start() -> None:
    polls = run()
    polls.ids()
    assert polls.polled == [("ok", 0), ("unchanged", 0), ("failed", 0)]


@pytest.mark.parametrize(
    ("asked_s", "waited_s"),
    [
        pytest.param(150, 150, id="honoured"),
        pytest.param(1e9, 3600, id="capped"),
        pytest.param(inf, 3600, id="infinite"),
        pytest.param(0, 0, id="none"),
        pytest.param(-60, 0, id="negative"),
        pytest.param(-inf, 0, id="infinitely-negative"),
        pytest.param(nan, 0, id="no-number"),
    ],
)
def test_a_wait_that_was_asked_for_is_honoured_up_to_an_hour(asked_s: float, waited_s: float) -> None:
    polls = run(PollFailed("answered 429", asked_s), [])
    polls.ids()
    earliest = START + timedelta(seconds=waited_s)
    assert earliest <= polls.clock.sleeps[0] < earliest + timedelta(minutes=1)
    assert polls.clock.sleeps[0] in {MINUTE.due(n) for n in range(61)}


REQUEST = httpx2.Request("GET", "http://host/?token=hush")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(
            httpx2.HTTPStatusError("for url http://host/?token=hush", request=REQUEST, response=httpx2.Response(502)),
            "answered 502", id="status",
        ),
        pytest.param(httpx2.ConnectError("All connection attempts failed"),
                     "ConnectError: All connection attempts failed", id="transport"),
        pytest.param(httpx2.LocalProtocolError("Illegal header value b'hush'"), "LocalProtocolError at test_poller.py:",
                     id="header"),
        pytest.param(KeyError("hush"), "KeyError at test_poller.py:", id="bug"),
        pytest.param(PollFailed("one\n  two" + "x" * 500), "one two" + "x" * 193, id="long"),
    ],
)  # fmt: skip
def test_a_failure_is_one_short_line_without_data_or_secrets(error: Exception, reason: str) -> None:
    polls = run(error)
    polls.ids()
    (line,) = polls.book.lines
    assert line["reason"].startswith(reason)
    assert "hush" not in polls.book.text
    assert len(line["reason"]) <= 200


def test_raise_for_status_knows_how_long_to_wait() -> None:
    response = httpx2.Response(503, headers={"Retry-After": "600"}, request=REQUEST)
    polls = run(httpx2.HTTPStatusError("x", request=REQUEST, response=response))
    polls.ids()
    assert polls.clock.sleeps[0] >= START + timedelta(seconds=600)


def test_items_found_before_a_poll_breaks_are_sent() -> None:
    class Breaks(Poller):
        polls: list[int] = Field(default=[], description="How many.")

        async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
            self.polls.append(1)
            if len(self.polls) == 2:
                raise KeyboardInterrupt
            yield Event(type="t", id="a")
            raise PollFailed("page 2 is missing")

    polls = Run(Breaks())
    assert polls.ids() == ["a"]
    assert polls.outcomes == ["failed"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        pytest.param([Event(type="t")], r"poll\(\) of Wrong made an Event without id; write Event\(id=", id="no-id"),
        pytest.param([Event(type="t", id="")], "without id", id="empty-id"),
        pytest.param([{"id": "a"}], r"poll\(\) of Wrong found a dict; make each item an Event", id="dict"),
        pytest.param(None, r"poll\(\) of Wrong returned NoneType; return a list of Events", id="none"),
    ],
)
def test_a_mistake_of_the_author_is_named_and_comes_out(made: Any, said: str) -> None:
    class Wrong(Poller):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            return made  # type: ignore[no-any-return]

    with pytest.raises(TypeError, match=said):
        Run(Wrong()).ids()


def test_a_poller_without_poll_is_told_what_to_define() -> None:
    class Empty(Poller):
        pass

    with pytest.raises(TypeError, match=r"Empty has no poll\(\); define `async def poll"):
        Run(Empty()).ids()


def test_items_side_by_side_are_refused_when_the_class_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Wide\.max_in_flight: items are sent in order"):

        class Wide(Poller):
            max_in_flight: int = Field(2, ge=1)


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


class Limited(Poller):
    """Each step takes so many seconds before the next event; None: for ever."""

    steps: list[Any] = Field(default=[], description="Seconds.")

    async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
        if not self.steps:
            raise KeyboardInterrupt
        while self.steps:
            seconds = self.steps.pop(0)
            await (asyncio.Event().wait() if seconds is None else asyncio.sleep(seconds))
            yield Event(type="t", id=str(len(self.steps)))

    def poll_limit_s(self) -> float:
        return 0.2


@pytest.mark.parametrize(
    ("steps", "ids"),
    [
        pytest.param([None], [], id="before-the-first"),
        pytest.param([0, None], ["1"], id="after-the-first"),
        pytest.param([0.08] * 20, ["19", "18"], id="bit-by-bit"),
    ],
)
def test_a_poll_that_takes_too_long_is_ended_and_broken(steps: list[Any], ids: list[str]) -> None:
    polls = Run(Limited(steps=[*steps]))
    assert polls.ids()[: len(ids)] == ids
    assert polls.outcomes[0] == "failed"
    assert polls.book.lines[0]["reason"] == "the poll took longer than 0.2 s"


def test_the_time_the_sink_takes_is_not_the_polls() -> None:
    polls = Run(Limited(steps=[0, 0, 0]))

    def slow(event: Event) -> Outcome:
        threading.Event().wait(0.15)
        return Outcome.DELIVERED

    polls.answer = slow
    assert polls.ids() == ["2", "1", "0"]
    assert polls.outcomes == ["ok"]


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
