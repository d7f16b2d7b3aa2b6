"""Deliveries that end early: the caller's time is over, or the adapter stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from random import Random

import pytest

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt
from adapter.delivery.channel import Channel, Destination, OnAnswer
from adapter.delivery.delivery import Delivery
from adapter.observe.metrics import Metrics
from adapter.sdk import Outcome
from adapter.testing.clock import VirtualClock
from tests.deadline import DEADLINE_S
from tests.logbook import Logbook
from tests.unit.adapter.delivery.loopback import Loopback
from tests.unit.adapter.delivery.scenario import (
    EVENT,
    MESSAGE,
    Hang,
    Scenario,
    status,
    unreachable,
)


class EndlessSleep(VirtualClock):
    """``sleeping`` is set in the first sleep; no sleep ends."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeping = asyncio.Event()

    async def sleep_until(self, deadline: datetime) -> None:
        self.sleeping.set()
        await asyncio.Event().wait()


def test_cut_short_ends_a_wait_and_leaves_one_attempt_at_the_dead_letter_sink() -> None:
    for dead, outcome, attempts in (([status(503)], Outcome.GAVE_UP, 1), ([status(202)], Outcome.DEAD_LETTERED, 1)):
        clock = EndlessSleep()
        scenario = Scenario(then=repeat(status(503, Retry_After="60")), dead=dead, clock=clock)
        assert asyncio.run(cut_short(scenario, clock.sleeping)) is outcome
        assert scenario.dead
        assert (len(scenario.sink.requests), len(scenario.dead.requests)) == (1, attempts)
        assert scenario.deliver() is not Outcome.DELIVERED
        assert len(scenario.sink.requests) == 1  # no further attempt at the sink


def test_cut_short_ends_an_attempt_that_hangs() -> None:
    hang = Hang()
    scenario = Scenario(hang, dead=[status(202)])
    assert asyncio.run(cut_short(scenario, hang.requested)) is Outcome.DEAD_LETTERED


async def cut_short(scenario: Scenario, when: asyncio.Event) -> Outcome:
    """The outcome of an event whose delivery is cut short at ``when``."""
    delivering = asyncio.create_task(scenario.delivery.deliver(EVENT, MESSAGE))
    await asyncio.wait_for(when.wait(), DEADLINE_S)
    scenario.delivery.cut_short()
    return await asyncio.wait_for(delivering, DEADLINE_S)


def test_delivery_ends_when_the_caller_stops_waiting() -> None:
    scenario = Scenario(Hang(), then=[status(202)])
    assert scenario.deliver(caller_timeout_s=0.02) is Outcome.GAVE_UP
    assert len(scenario.sink.requests) == 1
    (line,) = scenario.book.lines
    assert (line["msg"], line["level"]) == ("event not delivered; caller notified", "warn")
    assert (line["event_id"], line["code"], line["attempts"]) == ("1", "stopped", 1)
    assert line["reason"].startswith("no answer when the caller's time ended (0.")


@pytest.mark.parametrize("ends", ["caller", "stop"])
@pytest.mark.parametrize(
    ("status", "outcome"), [(202, Outcome.DELIVERED), (400, Outcome.REJECTED), (503, Outcome.GAVE_UP)]
)
def test_answer_whose_body_is_incomplete_when_the_time_ends_counts(status: int, outcome: Outcome, ends: str) -> None:
    """The event of a 202 is delivered. If its caller got an error, it would send the event again."""
    head = b"HTTP/1.1 %d -\r\nContent-Length: 5\r\n\r\nab" % status
    book, metrics, answered = Logbook(logging.INFO), Metrics("ns", "n", "K"), asyncio.Event()

    class ObservedChannel(Channel):
        async def post(self, message: Message, on_answer: OnAnswer = lambda attempt: None) -> Attempt:
            def observe(attempt: Attempt) -> None:
                on_answer(attempt)
                answered.set()

            return await super().post(message, observe)

    async def test() -> Outcome:
        async with Loopback(head).running() as sink, asyncio.timeout(DEADLINE_S):
            timeouts = replace(TIMEOUTS, response_body_s=20)
            channel = ObservedChannel(Destination(sink.url), 20, VirtualClock(), timeouts=timeouts)
            async with contextlib.aclosing(channel):
                delivery = Delivery(channel, Policy(retry=3), VirtualClock(), Random(7), metrics, book.log)
                caller_s = 0.3 if ends == "caller" else None
                delivering = asyncio.create_task(delivery.deliver(EVENT, MESSAGE, caller_timeout_s=caller_s))
                await answered.wait()
                if ends == "stop":
                    delivery.cut_short()
                return await delivering

    assert asyncio.run(test()) is outcome
    assert [line.get("reason") for line in book.lines] == ([] if status == 202 else [f"answered {status}"])
    assert f'code="{status}"' in metrics.render().decode()


def test_unfinished_attempt_is_counted_and_named_after_the_attempt_before_it() -> None:
    scenario = Scenario(unreachable(), Hang(), policy=Policy(backoff_delay_s=0))
    assert scenario.deliver(caller_timeout_s=0.1) is Outcome.GAVE_UP
    (line,) = scenario.book.logged("caller notified")
    assert (line["attempts"], line["code"]) == (2, "stopped")
    assert re.fullmatch(
        r"no answer when the caller's time ended \(0\.1 s\); before that: no connection: connection refused",
        line["reason"],
    )
    codes = {
        line.partition('code="')[2].partition('"')[0] for line in scenario.series("source_delivery_attempts_total{")
    }
    assert codes == {"transport", "stopped"}


def test_unfinished_attempt_at_the_dead_letter_sink_is_counted_and_named() -> None:
    scenario = Scenario(status(400), dead=[status(503), Hang()], policy=Policy(backoff_delay_s=0))
    assert scenario.deliver(caller_timeout_s=0.1) is Outcome.REJECTED
    (line,) = scenario.book.logged("dead letter sink did not accept the event")
    assert (line["attempts"], line["code"]) == (2, "stopped")
    assert line["reason"].endswith("; before that: answered 503")


def test_event_whose_attempt_is_unfinished_at_shutdown_is_lost_with_the_cause() -> None:
    hang = Hang()
    scenario = Scenario(status(500), hang, policy=Policy(backoff_delay_s=0))
    assert asyncio.run(cut_short(scenario, hang.requested)) is Outcome.GAVE_UP
    (lost,) = scenario.book.logged("event lost")
    assert (lost["attempts"], lost["code"]) == (2, "stopped")
    assert re.fullmatch(
        r"no answer when the adapter had to stop \(\d\.\d s\); before that: answered 500", lost["reason"]
    )


def test_event_that_waits_for_retry_after_when_the_callers_time_ends_was_not_sent() -> None:
    scenario = Scenario(status(503, Retry_After="60"), policy=Policy(retry=1), clock=EndlessSleep())
    scenario.deliver(caller_timeout_s=0.02)
    scenario.deliver(caller_timeout_s=0.02)
    reasons = [(line["attempts"], line["reason"]) for line in scenario.book.logged("will retry")]
    assert reasons == [(1, "answered 503")]
    scenario.delivery.flush()
    first, second = scenario.book.logged("caller notified")
    assert (first["attempts"], first["reason"]) == (1, "answered 503")
    assert (second["attempts"], second["reason"]) == (0, "not sent before the caller's time ended")
