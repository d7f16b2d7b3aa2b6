"""The times of polls, and which items of a poll are sent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest

from adapter import __version__
from adapter.contract.durations import Interval
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.clock import SystemClock
from adapter.polling.client import MAX_REDIRECTS
from adapter.polling.position import WINDOW, Handled
from adapter.polling.progress import NO_SUCCESS_YET
from adapter.sdk import Event, Outcome, Poller, PollFailed, Unchanged
from tests.unit.adapter.polling.polling_run import MINUTE, Run, Scripted, run


def answers(*outcomes: Outcome) -> Callable[[Event], Outcome]:
    queue = list(outcomes)
    return lambda event: queue.pop(0)


def test_first_poll_is_immediate_and_later_polls_follow_the_schedule() -> None:
    polls = run([], [], [])
    polls.ids()
    assert polls.clock.sleeps == [MINUTE.due(0), MINUTE.due(1), MINUTE.due(2)]


def test_overdue_polls_are_skipped_and_delays_do_not_accumulate() -> None:
    polls = Run(Scripted(steps=[["a"], ["b"], []]))

    def slow(event: Event) -> Outcome:
        polls.clock.advance(200 if event.id == "b" else 10)
        return Outcome.DELIVERED

    polls.answer = slow
    polls.ids()
    assert polls.clock.sleeps == [MINUTE.due(n) for n in (0, 4, 5)]  # 200 s are three polls


def test_item_that_is_found_again_is_not_sent_again() -> None:
    assert run(["a", "b"], ["b", "a", "c", "c"], ["c"]).ids() == ["a", "b", "c"]


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.DEAD_LETTERED, Outcome.REJECTED])
def test_item_with_a_final_outcome_is_not_sent_again(outcome: Outcome) -> None:
    polls = Run(Scripted(steps=[["a"], ["a", "b"]]), answers(outcome, outcome))
    assert polls.ids() == ["a", "b"]


def test_item_that_the_sink_did_not_accept_ends_the_poll_and_is_sent_first_by_the_next() -> None:
    steps = [["a", "b", "c"], ["a", "b", "c"], ["a", "b", "c"]]
    polls = Run(Scripted(steps=steps), answers(Outcome.DELIVERED, Outcome.GAVE_UP, *[Outcome.DELIVERED] * 2))
    assert polls.ids() == ["a", "b", "b", "c"]
    assert polls.outcomes == ["ok", "ok", "ok"]


def test_only_the_last_keys_are_remembered() -> None:
    assert run(["a", "b", "c"], ["d"], ["a", "c"], window=3).ids() == ["a", "b", "c", "d", "a"]


def test_key_of_an_item_that_stays_in_the_list_is_not_forgotten() -> None:
    steps = [["pinned", "1"], ["pinned", "2"], ["pinned", "3"], ["pinned", "4"], ["pinned"]]
    assert run(*steps, window=3).ids() == ["pinned", "1", "2", "3", "4"]


def test_ten_thousand_keys_are_remembered_by_default() -> None:
    many = [str(n) for n in range(WINDOW)]
    assert WINDOW == 10_000
    assert len(run(many, many).ids()) == WINDOW


@pytest.mark.parametrize("key", ["", "a", "\ud800", "x" * 1_000_000], ids=["empty", "short", "surrogate", "long"])
def test_any_text_can_be_a_key(key: str) -> None:
    handled = Handled()
    assert handled.find(key) == (False, None)
    handled.add(key, Outcome.REJECTED)
    assert handled.find(key) == (True, Outcome.REJECTED)


def test_first_poll_can_skip_the_items_that_exist() -> None:
    assert run(["a", "b"], ["b", "c"], skips=True).ids() == ["c"]


@pytest.mark.parametrize("first", [PollFailed("down"), Unchanged()], ids=["failed", "unchanged"])
def test_first_poll_that_finds_items_skips_them(first: Exception) -> None:
    assert run(first, ["a"], ["a", "b"], skips=True).ids() == ["b"]


def test_unchanged_is_a_success_with_its_own_outcome() -> None:
    polls = run(["a"], Unchanged(), *[PollFailed("x")] * 3, Unchanged())
    polls.ids()
    assert polls.outcomes == ["ok", "unchanged", *["failed"] * 3, "unchanged"]
    assert polls.unready[-1] is None


def test_all_outcomes_are_counted_from_zero() -> None:
    polls = run()
    polls.ids()
    assert polls.polled == [("ok", 0), ("unchanged", 0), ("failed", 0)]


def test_workers_method_is_rejected_when_the_class_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Wide\.workers\(\): a Poller sends one item at a time"):

        class Wide(Poller):
            def workers(self) -> int:
                return 2


def test_client_has_limits_and_is_closed_at_the_end() -> None:
    seen: list[httpx2.AsyncClient] = []

    class Looks(Poller):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            seen.append(client)
            raise KeyboardInterrupt

    Run(Looks()).ids()
    (client,) = seen
    assert client.headers["user-agent"] == f"sample-source/{__version__}"
    assert (client.follow_redirects, client.max_redirects, client.trust_env) == (True, MAX_REDIRECTS, False)
    assert client.timeout == httpx2.Timeout(TIMEOUTS.upstream_idle_s)
    assert client.is_closed


class SetClock(SystemClock):
    """The clock of this machine, set back by ``behind``."""

    behind = timedelta()

    def now(self) -> datetime:
        return super().now() - self.behind


def test_polls_continue_when_the_clock_is_set_back() -> None:
    clock = SetClock()

    class Sets(Scripted):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            if len(self.steps) == 2:  # during the wait for the next poll
                asyncio.get_running_loop().call_later(0.02, setattr, clock, "behind", timedelta(hours=1))
            return await super().poll(client)

    polls = Run(Sets(steps=[["a"], ["b"], ["c"]], interval=Interval("100ms")))
    polls.context = replace(polls.context, clock=clock)
    assert polls.ids() == ["a", "b", "c"]
    assert clock.behind == timedelta(hours=1)


def test_importing_the_sdk_does_not_import_httpx2() -> None:
    code = "import adapter.sdk, sys; print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_source_is_not_ready_while_its_first_poll_still_skips_items() -> None:
    """Ready ends the old adapter. It would not find an item that appears later and is skipped by this poll."""
    seen: list[str | None] = []

    class Pages(Scripted):
        async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:  # type: ignore[override]
            for page in ("a", "b"):
                yield Event(type="t", id=page)
                seen.append(run.unready[-1])
            if self.steps:
                raise KeyboardInterrupt
            self.steps.append("next poll")

    run = Run(Pages(skips=True))
    run.ids()
    assert seen[:2] == [NO_SUCCESS_YET] * 2
    assert run.unready[-1] is None
