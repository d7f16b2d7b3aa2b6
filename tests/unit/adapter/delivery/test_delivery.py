"""Delivery of one event under a virtual clock: retries, deadlines, the dead letter sink, log lines."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from datetime import datetime, timedelta
from itertools import chain, pairwise, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.delivery.attempt import Attempt, Disposition, dead_letter
from adapter.sdk import Outcome
from adapter.testing.clock import START, VirtualClock
from tests.unit.adapter.delivery.scenario import (
    EVENT,
    MESSAGE,
    SECRET,
    Hang,
    Scenario,
    status,
    unreachable,
)


def test_accepted_event_is_sent_once() -> None:
    scenario = Scenario(status(202, Retry_After="60"))
    assert scenario.deliver() is Outcome.DELIVERED
    assert (len(scenario.sink.requests), scenario.clock.sleeps, scenario.book.lines) == (1, [], [])
    (success,) = scenario.series("source_last_success")
    assert float(success.rpartition(" ")[2]) == START.timestamp()


@pytest.mark.parametrize("code", [300, 302, 304, 400, 401, 403, 410, 413, 422])
def test_rejected_event_is_sent_once_and_logged_as_lost(code: int) -> None:
    scenario = Scenario(status(code))
    assert scenario.deliver() is Outcome.REJECTED
    (line,) = scenario.book.lines
    assert (line["msg"], line["level"], line["event_id"]) == ("event lost", "error", "1")
    assert (line["code"], line["attempts"]) == (str(code), 1)


@pytest.mark.parametrize("valid", [True, False], ids=["valid", "invalid"])
def test_each_line_about_an_event_has_its_trace_id(valid: bool) -> None:
    """An event that passes through may have anything as its trace."""
    traceparent = f"00-{'1a' * 16}-{'2' * 16}-01" if valid else "1a\n"
    message = Message({"ce-id": "1", "ce-traceparent": traceparent}, b"")
    scenario = Scenario(status(503), status(400), dead=[status(400)], policy=Policy(retry=1))
    asyncio.run(scenario.delivery.deliver(EVENT, message))
    assert [line["msg"] for line in scenario.book.lines] == [
        "delivery attempt failed; will retry",
        "dead letter sink did not accept the event",
        "event lost",
    ]
    assert {line.get("trace_id") for line in scenario.book.lines} == {"1a" * 16 if valid else None}


def test_every_attempt_sends_the_same_bytes() -> None:
    scenario = Scenario(status(500), unreachable(), status(429), status(200))
    assert scenario.deliver() is Outcome.DELIVERED
    assert [sent for _, sent in scenario.sink.requests] == [MESSAGE] * 4


def test_event_is_lost_when_all_retries_are_used_up() -> None:
    scenario = Scenario(*repeat(status(503), 4), then=[status(200)], policy=Policy(retry=3))
    assert scenario.deliver() is Outcome.GAVE_UP
    assert len(scenario.sink.requests) == 4
    (line,) = scenario.book.logged("event lost")
    assert (line["code"], line["attempts"], line["event_id"]) == ("503", 4, "1")


def test_wait_is_random_between_zero_and_a_growing_limit() -> None:
    firsts, fifths = [], []
    for seed in range(300):
        scenario = Scenario(*repeat(status(500), 5), then=[status(200)], seed=seed)
        scenario.deliver()
        waits = [b - a for a, b in pairwise(scenario.sink.times)]
        firsts.append(waits[0])
        fifths.append(waits[4])
    assert 0 <= min(firsts) < 0.01
    assert 0.18 < max(firsts) <= 0.2
    assert 0.08 < sum(firsts) / len(firsts) < 0.12
    assert min(fifths) < 0.3
    assert 2.9 < max(fifths) <= 3.2


def test_retry_after_is_obeyed() -> None:
    scenario = Scenario(
        status(503, Retry_After="7"), status(429, Retry_After="Thu, 01 Jan 2026 00:00:20 GMT"), status(200)
    )
    assert scenario.deliver() is Outcome.DELIVERED
    assert scenario.sink.times == [0, 7, 20]


def test_retry_after_is_capped() -> None:
    scenario = Scenario(status(503, Retry_After="9999"), status(200), policy=Policy(retry_after_max_s=60))
    scenario.deliver()
    assert scenario.sink.times == [0, 60]
    off = Scenario(status(503, Retry_After="9999"), status(200), policy=Policy(retry_after_max_s=0))
    off.deliver()
    assert off.sink.times[1] <= 0.2


def test_retry_after_applies_to_the_next_event_too() -> None:
    scenario = Scenario(status(503, Retry_After="50"), status(503), status(200), policy=Policy(retry=0))
    for _ in range(3):
        scenario.deliver()
    assert scenario.sink.times == [0, 0, 0]  # without retries there is no wait
    scenario = Scenario(
        status(503, Retry_After="50"), status(400), status(200), policy=Policy(retry=1, backoff_delay_s=0)
    )
    assert [scenario.deliver(), scenario.deliver()] == [Outcome.REJECTED, Outcome.DELIVERED]
    assert scenario.sink.times == [0, 50, 50]


def test_dead_letter_sink_gets_the_event_and_the_error() -> None:
    scenario = Scenario(status(400, b"no\x00 such\nthing"), dead=[status(500), status(202)])
    assert scenario.deliver() is Outcome.DEAD_LETTERED
    assert scenario.dead
    first, second = (request for _, request in scenario.dead.requests)
    assert first.headers == second.headers
    assert first.headers["ce-id"] == "1"
    assert first.body == MESSAGE.body
    assert first.headers["ce-knativeerrordest"] == "http://sink/in"  # without the password
    assert first.headers["ce-knativeerrorcode"] == "400"
    assert base64.b64decode(first.headers["ce-knativeerrordata"]) == b"no suchthing"
    (line,) = scenario.book.logged("event sent to the dead letter sink")
    assert (line["level"], line["event_id"], line["code"], line["attempts"]) == ("warn", "1", "400", 1)
    assert scenario.book.logged("event lost") == []


def test_event_that_no_sink_accepts_is_lost_and_both_statuses_are_logged() -> None:
    scenario = Scenario(status(400), dead=repeat(status(503)), policy=Policy(retry=2))
    assert scenario.deliver() is Outcome.REJECTED
    assert scenario.dead
    assert len(scenario.dead.requests) == 3
    (dead,) = scenario.book.logged("dead letter sink did not accept the event")
    (lost,) = scenario.book.logged("event lost")
    assert (dead["code"], dead["attempts"], lost["code"], lost["attempts"]) == ("503", 3, "400", 1)


@pytest.mark.parametrize(
    ("attempt", "code", "data"),
    [
        pytest.param(Attempt(Disposition.RETRY, "timeout", "no answer within 10 s"), "500",
                     b"dispatch error: no answer within 10 s", id="no answer"),
        pytest.param(Attempt(Disposition.REJECT, "413", "", body=b"x" * 5000), "413", b"x" * 768, id="long"),
        pytest.param(Attempt(Disposition.REJECT, "404", "", body=b""), "404", None, id="empty"),
    ],
)  # fmt: skip
def test_dead_letter_has_the_error_extensions_of_knative(attempt: Attempt, code: str, data: bytes | None) -> None:
    headers = dead_letter(MESSAGE, "http://sink", attempt).headers
    assert headers["ce-knativeerrorcode"] == code
    written = headers.get("ce-knativeerrordata")
    assert (None if written is None else base64.b64decode(written)) == data
    assert len(written or "") <= 1024


def test_dead_letter_has_no_secret_that_is_not_ascii() -> None:
    attempt = Attempt(Disposition.REJECT, "403", "", body="user me, password Schlüß€l".encode())
    written = dead_letter(MESSAGE, "http://sink", attempt, ["Schlüß€l"]).headers["ce-knativeerrordata"]
    assert base64.b64decode(written) == b"user me, password (secret)"


@pytest.mark.parametrize(("code", "outcome"), [(400, Outcome.REJECTED), (503, Outcome.GAVE_UP)])
def test_event_that_the_source_sends_again_is_not_logged_as_lost(code: int, outcome: Outcome) -> None:
    scenario = Scenario(then=repeat(status(code)), policy=Policy(retry=0))
    for _ in range(100):  # a row of a table that is read each second
        assert scenario.deliver(again=[outcome]) is outcome
        scenario.clock.advance(1)
    lines = scenario.book.logged("event not delivered; the source will send it again")
    assert [(line["level"], line["count"], line["code"]) for line in lines] == [
        ("warn", 1, str(code)),
        ("warn", 60, str(code)),
    ]
    assert scenario.book.logged("event lost") == []
    scenario.deliver(again=[Outcome.DELIVERED])
    assert len(scenario.book.logged("event lost")) == 1


def test_rejected_event_of_a_caller_is_not_logged_as_lost() -> None:
    scenario = Scenario(status(400))
    assert scenario.deliver(caller_timeout_s=60) is Outcome.REJECTED
    assert [line["msg"] for line in scenario.book.lines] == ["event not delivered; caller notified"]


def test_all_retries_are_used_while_the_caller_waits() -> None:
    scenario = Scenario(then=repeat(status(503)), policy=Policy(retry=3))
    assert scenario.deliver(caller_timeout_s=60) is Outcome.GAVE_UP
    assert len(scenario.sink.requests) == 4


def test_last_quarter_of_the_callers_time_is_reserved_for_the_dead_letter_sink() -> None:
    scenario = Scenario(Hang(), dead=[status(202)])
    started = time.monotonic()
    assert scenario.deliver(caller_timeout_s=2) is Outcome.DEAD_LETTERED
    assert time.monotonic() - started > 1.49
    (line,) = scenario.book.lines
    assert line["reason"].startswith("no answer when the sink's part of the caller's time ended (1.")


def test_delivery_to_the_dead_letter_sink_ends_with_the_callers_time() -> None:
    scenario = Scenario(status(400), dead=[Hang()])
    assert scenario.deliver(caller_timeout_s=0.02) is Outcome.REJECTED
    assert [line["msg"] for line in scenario.book.lines] == [
        "dead letter sink did not accept the event",
        "event not delivered; caller notified",
    ]


def test_attempts_are_counted_by_code() -> None:
    scenario = Scenario(status(500), status(500), unreachable(), status(200))
    scenario.deliver()
    labels = 'kind="K",name="n",namespace="ns"'
    assert set(scenario.series("source_delivery_attempts_total{")) == {
        f'source_delivery_attempts_total{{code="{code}",{labels}}} {count}'
        for code, count in [("500", "2.0"), ("transport", "1.0"), ("200", "1.0")]
    }
    assert scenario.series("source_delivery_duration_seconds_count") == [
        f"source_delivery_duration_seconds_count{{{labels}}} 4.0"
    ]


def test_outage_of_ten_minutes_logs_few_lines_and_a_recovery_with_the_right_count() -> None:
    scenario = Scenario(then=repeat(status(500)))
    outcomes = []
    while scenario.clock.now() < START + timedelta(minutes=10):
        outcomes.append(scenario.deliver())
    assert set(outcomes) == {Outcome.GAVE_UP}
    failed = len(scenario.sink.requests)
    scenario.sink.answers = chain([status(200)])
    assert scenario.deliver() is Outcome.DELIVERED
    retried = sum(line["count"] for line in scenario.book.logged("will retry"))
    (recovered,) = scenario.book.logged("recovered")
    assert (recovered["failed_attempts"], retried) == (failed, failed - len(outcomes))
    assert scenario.book.lines[-1]["msg"] == "recovered"
    assert len(scenario.book.logged("event lost")) == len(outcomes)
    assert len(scenario.book.lines) < 30


def test_recovery_is_logged_once_and_only_after_a_logged_failure() -> None:
    scenario = Scenario(status(200), status(500), status(200), status(200))
    for _ in range(3):
        scenario.deliver()
    assert [line["msg"] for line in scenario.book.lines] == ["delivery attempt failed; will retry", "recovered"]


def test_log_holds_no_data_even_if_the_sink_sends_it_back() -> None:
    refusal = status(400, SECRET.encode())
    scenario = Scenario(status(500, SECRET.encode()), refusal, dead=[status(202)], level=logging.DEBUG)
    scenario.deliver()
    assert len(scenario.book.lines) == 2
    assert SECRET not in scenario.book.text


@given(
    st.integers(0, 12),
    st.sampled_from(["exponential", "linear"]),
    st.floats(0, 40),
    st.floats(0, 90),
    st.lists(st.tuples(st.sampled_from([404, 429, 500, 503]), st.none() | st.integers(0, 10**6)), min_size=13),
    st.integers(),
)
def test_attempts_and_time_stay_within_the_policy(
    retry: int, kind: Any, delay_s: float, cap_s: float, answers: list[tuple[int, int | None]], seed: int
) -> None:
    policy = Policy(retry=retry, backoff_policy=kind, backoff_delay_s=delay_s, retry_after_max_s=cap_s)
    responses = [status(code, **({} if after is None else {"Retry_After": str(after)})) for code, after in answers]
    scenario = Scenario(*responses, policy=policy, seed=seed)
    assert scenario.deliver() is Outcome.GAVE_UP
    assert len(scenario.sink.requests) == retry + 1
    took_s = (scenario.clock.now() - START).total_seconds()
    assert took_s <= sum(max(wait, cap_s) for wait in policy.waits()) + 0.001  # attempts take no time in this test


class SetBack(VirtualClock):
    """Set back by an hour during the first sleep, which then does not end by itself."""

    async def sleep_until(self, deadline: datetime) -> None:
        if not self.sleeps:
            self.sleeps.append(deadline)
            self.advance(-3600)
            await asyncio.Event().wait()
        await super().sleep_until(deadline)


def test_clock_set_back_does_not_block_an_event() -> None:
    scenario = Scenario(status(503), status(202), clock=SetBack(), policy=Policy(backoff_delay_s=0.01))
    assert scenario.deliver() is Outcome.DELIVERED


def test_clock_set_back_makes_no_wait_longer_than_retry_after_max() -> None:
    scenario = Scenario(status(429, Retry_After="20"), status(202), status(202), policy=Policy(retry_after_max_s=30))
    assert scenario.deliver() is Outcome.DELIVERED
    scenario.clock.advance(-7200)
    assert scenario.deliver() is Outcome.DELIVERED
    assert (scenario.clock.sleeps[-1] - scenario.clock.sleeps[0]).total_seconds() < -7000
