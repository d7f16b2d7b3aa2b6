"""A failed poll is logged and counted, and makes the source unready. Mistakes of the author are raised."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from math import inf, nan
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adapter.sdk import Event, Field, Outcome, Poller, PollFailed, SecretText
from adapter.testing.clock import START
from tests.unit.adapter.polling.polling_run import MINUTE, Run, run


def test_failed_polls_are_logged_and_counted_and_make_the_source_unready() -> None:
    polls = run(*[PollFailed("HTTP status 500")] * 4, ["a"], [])
    assert polls.ids() == ["a"]
    assert polls.outcomes == ["failed"] * 4 + ["ok"] * 2
    yet, row = "no poll has succeeded yet", "{} polls in a row failed: HTTP status 500"
    failing = [f"{yet}: HTTP status 500"] * 2 + [row.format(3), row.format(4)]
    assert polls.unready == [yet, *failing, None, None, None]
    first = polls.book.logged("poll failed")[0]
    assert (first["level"], first["reason"], first["count"]) == ("warn", "HTTP status 500", 1)
    (recovered,) = polls.book.logged("polls succeed again")
    assert recovered["failed_polls"] == 4


@pytest.mark.parametrize("skips", [True, False])
def test_given_up_event_is_not_lost_while_a_later_poll_finds_its_item(skips: bool) -> None:
    source = run([], skips=skips).source
    assert source.sends_again(Outcome.GAVE_UP, stopping=False)
    assert source.sends_again(Outcome.GAVE_UP, stopping=True) is not skips  # the next process may skip it
    assert not source.sends_again(Outcome.REJECTED, stopping=False)


def test_fewer_than_three_failures_in_a_row_keep_the_source_ready() -> None:
    polls = run([], PollFailed("x"), PollFailed("x"), [], PollFailed("x"))
    polls.ids()
    assert polls.unready == ["no poll has succeeded yet", None, None]


def test_source_is_ready_before_the_sink_has_the_items_of_the_first_poll() -> None:
    polls = run(["a", "b"])
    unready: list[str | None] = []
    polls.answer = lambda event: (unready.append(polls.unready[-1]), Outcome.DELIVERED)[1]
    polls.ids()
    assert unready == [None, None]


def test_frequent_failures_are_throttled_in_the_log() -> None:
    polls = run(*[PollFailed("x")] * 500, interval="1ms")
    polls.ids()
    assert [(line["msg"], line["count"]) for line in polls.book.lines] == [("poll failed", 1), ("poll failed", 499)]
    assert "last_at" in polls.book.lines[1]  # it was held until the source stopped


@pytest.mark.parametrize(
    ("retry_after_s", "waited_s"),
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
def test_retry_after_is_honoured_up_to_one_hour(retry_after_s: float, waited_s: float) -> None:
    polls = run(PollFailed("HTTP status 429", retry_after_s), [])
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
            "HTTP status 502", id="status",
        ),
        pytest.param(httpx2.ConnectError("All connection attempts failed"),
                     "ConnectError: All connection attempts failed", id="transport"),
        pytest.param(httpx2.LocalProtocolError("Illegal header value b'hush'"), "LocalProtocolError at polling_run.py:",
                     id="header"),
        pytest.param(KeyError("hush"), "KeyError at polling_run.py:", id="bug"),
        pytest.param(PollFailed("one\n  two" + "x" * 500), "one two" + "x" * 193, id="long"),
    ],
)  # fmt: skip
def test_reason_of_a_failure_is_one_short_line_without_data_or_secrets(error: Exception, reason: str) -> None:
    polls = run(error)
    polls.ids()
    (line,) = polls.book.lines
    assert line["reason"].startswith(reason)
    assert "hush" not in "".join(filter(None, polls.unready))
    assert ("hush" in polls.book.text) is isinstance(error, KeyError)
    assert len(line["reason"]) <= 200


class Keyed(Poller):
    """Looks for its token, which is a secret, in a response. ``polls``: how many are left."""

    token: SecretText = Field(description="A token.")
    polls: list[int] = Field(default=[1], description="Polls.")

    async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        if not self.polls:
            raise KeyboardInterrupt
        self.polls.pop()
        return [Event(type="t", id=json.loads("{}")[self.token.get_secret_value()])]


def test_exception_of_the_class_is_logged_with_its_message_line_and_traceback_but_without_secrets() -> None:
    polls = Run(Keyed(token=SecretText("hush-hush")))
    polls.ids()
    (line,) = polls.book.logged("poll failed")
    assert line["error"] == "KeyError: '(secret)'"
    assert re.fullmatch(r"test_poller_failures\.py:\d+", line["at"])
    assert line["reason"] == f"KeyError at {line['at']}"
    assert "self.token.get_secret_value()" in line["traceback"]
    assert "hush-hush" not in polls.book.text


def test_line_of_the_class_is_named_when_a_library_fails() -> None:
    class Parses(Keyed):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            await super().poll(client) if not self.polls else self.polls.pop()
            return [Event(type="t", id=json.loads("<html>"))]

    polls = Run(Parses(token=SecretText("hush-hush")))
    polls.ids()
    (line,) = polls.book.logged("poll failed")
    assert line["error"].startswith("JSONDecodeError: Expecting value")
    assert line["reason"] == f"JSONDecodeError at {line['at']}"
    assert line["at"].startswith("test_poller_failures.py:")


@pytest.mark.parametrize("error", [PollFailed("x"), httpx2.ConnectError("x")], ids=["poll-failed", "transport"])
def test_failure_of_the_upstream_is_logged_without_a_traceback(error: Exception) -> None:
    polls = run(error)
    polls.ids()
    assert "traceback" not in polls.book.logged("poll failed")[0]


def test_raise_for_status_honours_retry_after() -> None:
    response = httpx2.Response(503, headers={"Retry-After": "600"}, request=REQUEST)
    polls = run(httpx2.HTTPStatusError("x", request=REQUEST, response=response))
    polls.ids()
    assert polls.clock.sleeps[0] >= START + timedelta(seconds=600)


def test_items_found_before_a_failure_are_sent() -> None:
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
    ("made", "message"),
    [
        pytest.param([Event(type="t")], r"Wrong\.poll\(\) found an Event without id; write Event\(id=", id="no-id"),
        pytest.param([Event(type="t", id="")], "without id", id="empty-id"),
        pytest.param([{"id": "a"}], r"Wrong\.poll\(\) found a dict; return a list of Events", id="dict"),
        pytest.param(None, r"Wrong\.poll\(\) found a NoneType; return a list of Events", id="none"),
    ],
)
def test_mistake_of_the_author_is_raised(made: Any, message: str) -> None:
    class Wrong(Poller):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            return made  # type: ignore[no-any-return]  # wrong on purpose

    with pytest.raises(TypeError, match=message):
        Run(Wrong()).ids()


def test_missing_poll_is_raised() -> None:
    class Empty(Poller):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no poll\(\); define `async def poll"):
        Run(Empty()).ids()


class Limited(Poller):
    """``steps``: seconds before each event; None waits for ever."""

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
        pytest.param([0.02] * 100, ["99"], id="bit-by-bit"),
    ],
)
def test_poll_that_exceeds_its_limit_is_cancelled_and_fails(steps: list[Any], ids: list[str]) -> None:
    polls = Run(Limited(steps=[*steps]))
    assert polls.ids()[: len(ids)] == ids
    assert polls.outcomes[0] == "failed"
    assert polls.book.lines[0]["reason"] == "the poll took longer than 0.2 s"


def test_time_of_deliveries_does_not_count_as_time_of_the_poll() -> None:
    polls = Run(Limited(steps=[0, 0, 0]))

    def slow(event: Event) -> Outcome:
        threading.Event().wait(0.15)
        return Outcome.DELIVERED

    polls.answer = slow
    assert polls.ids() == ["2", "1", "0"]
    assert polls.outcomes == ["ok"]


def test_timeout_error_of_the_author_is_not_reported_as_the_limit_of_the_poll() -> None:
    polls = run(TimeoutError())
    polls.ids()
    assert polls.book.lines[0]["reason"] == "TimeoutError"


class Closing(Poller):
    """Fails while its generator is closed."""

    polls: list[int] = Field(default=[], description="How many.")

    async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
        self.polls.append(1)
        if len(self.polls) == 2:
            raise KeyboardInterrupt
        try:
            yield Event(type="t", id="a")
        finally:
            raise PollFailed("cannot log out")


def test_failure_while_the_generator_is_closed_fails_the_poll() -> None:
    polls = Run(Closing(), lambda event: Outcome.GAVE_UP)
    assert polls.ids() == ["a"]
    assert polls.outcomes == ["failed"]
    assert polls.book.lines[0]["reason"] == "cannot log out"


def test_mounted_bundle_that_cannot_be_read_fails_the_poll(tmp_path: Path) -> None:
    (tmp_path / "company.pem").write_text("not a certificate")
    polls = run(["a"])

    def repair(reason: str | None) -> None:
        if reason and "company.pem" in reason:
            (tmp_path / "company.pem").unlink()

    polls.context = replace(polls.context, trust_bundles=tmp_path, set_unready=repair)
    assert polls.ids() == ["a"]
    assert polls.outcomes == ["failed", "ok"]
    assert "company.pem holds no PEM certificates" in polls.book.lines[0]["reason"]
