"""Polls that fail, last too long or are written wrongly: what is said, counted and shown, and what goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from math import inf, nan
from typing import Any

import httpx2
import pytest

from adapter.sdk import Event, Field, Outcome, Poller, PollFailed
from adapter.testing.clock import START
from tests.unit.adapter.polling.polling_run import MINUTE, Run, run


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
        pytest.param(httpx2.LocalProtocolError("Illegal header value b'hush'"), "LocalProtocolError at polling_run.py:",
                     id="header"),
        pytest.param(KeyError("hush"), "KeyError at polling_run.py:", id="bug"),
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
            return made  # type: ignore[no-any-return]  # wrong on purpose

    with pytest.raises(TypeError, match=said):
        Run(Wrong()).ids()


def test_a_poller_without_poll_is_told_what_to_define() -> None:
    class Empty(Poller):
        pass

    with pytest.raises(TypeError, match=r"Empty has no poll\(\); define `async def poll"):
        Run(Empty()).ids()


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
