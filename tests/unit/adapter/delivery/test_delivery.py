"""One event under a virtual clock: when to try again, when to stop, what the dead letter sink gets, what is said."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import chain, pairwise, repeat
from random import Random
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery, dead_letter
from adapter.model import clock as clocks
from adapter.net.client_pool import ClientPool
from adapter.observe.metrics import Metrics
from adapter.sdk import Event, Outcome
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

SECRET = "the data of the event"
MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, SECRET.encode())
EVENT = Event(type="t", id="1")
DEFAULTS = Policy()
Respond = Exception | Callable[[], httpx2.Response]


def status(code: int, body: bytes = b"", **headers: str) -> Respond:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: httpx2.Response(code, headers=named, stream=httpx2.ByteStream(body))


class Place:
    """Answers in turn, keeps what it was sent and when. Not more than ``answers`` attempts are expected."""

    def __init__(self, clock: VirtualClock, url: str, answers: Iterable[Respond]) -> None:
        self.answers = iter(answers)
        self.requests: list[tuple[float, httpx2.Request]] = []
        self._clock = clock
        self.channel = Channel(Destination(url), 10, clock)
        transport = httpx2.MockTransport(self._answer)
        self.channel._clients = ClientPool(lambda: httpx2.AsyncClient(transport=transport, timeout=None))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(((self._clock.now() - START).total_seconds(), request))
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer()

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.requests]


class Way:
    """A delivery to ``sink``, with a dead letter sink where it has answers."""

    def __init__(
        self,
        *answers: Respond,
        then: Iterable[Respond] = (),
        dead: Iterable[Respond] | None = None,
        policy: Policy = DEFAULTS,
        level: int = logging.INFO,
        seed: int = 7,
        clock: VirtualClock | None = None,
    ) -> None:
        self.clock, self.book, self.metrics = clock or VirtualClock(), Logbook(level), Metrics("ns", "n", "K")
        self.sink = Place(self.clock, "http://user:pass@sink/in", chain(answers, then))
        self.dead = None if dead is None else Place(self.clock, "http://dead/", dead)
        self.delivery = Delivery(
            self.sink.channel,
            policy,
            self.clock,
            Random(seed),
            self.metrics,
            self.book.log,
            dead_letters=self.dead and self.dead.channel,
        )

    def deliver(self) -> Outcome:
        return asyncio.run(self.delivery.deliver(EVENT, MESSAGE))

    def series(self, name: str) -> list[str]:
        return [line for line in self.metrics.render().decode().splitlines() if line.startswith(name)]


def test_an_accepted_event_is_sent_once() -> None:
    way = Way(status(202, Retry_After="60"))
    assert way.deliver() is Outcome.DELIVERED
    assert (len(way.sink.requests), way.clock.sleeps, way.book.lines) == (1, [], [])
    (success,) = way.series("source_last_success")
    assert float(success.rpartition(" ")[2]) == START.timestamp()


@pytest.mark.parametrize("code", [300, 302, 304, 400, 401, 403, 410, 413, 422])
def test_a_rejected_event_is_sent_once_and_said_to_be_lost(code: int) -> None:
    way = Way(status(code))
    assert way.deliver() is Outcome.REJECTED
    (line,) = way.book.lines
    assert (line["msg"], line["level"], line["event_id"]) == ("event lost", "error", "1")
    assert (line["code"], line["attempts"]) == (str(code), 1)
    assert way.delivery.healthy  # it answers


def test_every_attempt_sends_the_same_bytes() -> None:
    way = Way(status(500), httpx2.ConnectError("no"), status(429), status(200))
    assert way.deliver() is Outcome.DELIVERED
    sent = {(it.method, str(it.url), str(it.headers), it.content) for _, it in way.sink.requests}
    assert (len(way.sink.requests), len(sent)) == (4, 1)
    assert way.sink.requests[0][1].content == MESSAGE.body


def test_retries_used_up_the_event_is_lost_and_the_sink_no_longer_healthy() -> None:
    way = Way(*repeat(status(503), 4), then=[status(200)], policy=Policy(retry=3))
    assert way.deliver() is Outcome.GAVE_UP
    assert len(way.sink.requests) == 4
    (line,) = way.book.said("event lost")
    assert (line["code"], line["attempts"], line["event_id"]) == ("503", 4, "1")
    assert not way.delivery.healthy
    assert way.deliver() is Outcome.DELIVERED
    assert way.delivery.healthy


def test_waits_are_drawn_from_zero_to_a_limit_that_grows() -> None:
    firsts, fifths = [], []
    for seed in range(300):
        way = Way(*repeat(status(500), 5), then=[status(200)], seed=seed)
        way.deliver()
        waits = [b - a for a, b in pairwise(way.sink.times)]
        firsts.append(waits[0])
        fifths.append(waits[4])
    assert 0 <= min(firsts) < 0.01
    assert 0.18 < max(firsts) <= 0.2
    assert 0.08 < sum(firsts) / len(firsts) < 0.12
    assert min(fifths) < 0.3
    assert 2.9 < max(fifths) <= 3.2


def test_retry_after_is_waited_for() -> None:
    way = Way(status(503, Retry_After="7"), status(429, Retry_After="Thu, 01 Jan 2026 00:00:20 GMT"), status(200))
    assert way.deliver() is Outcome.DELIVERED
    assert way.sink.times == [0, 7, 20]


def test_retry_after_is_capped() -> None:
    way = Way(status(503, Retry_After="9999"), status(200), policy=Policy(retry_after_max_s=60))
    way.deliver()
    assert way.sink.times == [0, 60]
    off = Way(status(503, Retry_After="9999"), status(200), policy=Policy(retry_after_max_s=0))
    off.deliver()
    assert off.sink.times[1] <= 0.2


def test_what_retry_after_asks_for_binds_the_next_event_too() -> None:
    way = Way(status(503, Retry_After="50"), status(503), status(200), policy=Policy(retry=0))
    for _ in range(3):
        way.deliver()
    assert way.sink.times == [0, 0, 0]  # nothing is retried, so nothing is asked for
    way = Way(status(503, Retry_After="50"), status(400), status(200), policy=Policy(retry=1, backoff_delay_s=0))
    assert [way.deliver(), way.deliver()] == [Outcome.REJECTED, Outcome.DELIVERED]
    assert way.sink.times == [0, 50, 50]


def test_the_dead_letter_sink_gets_the_event_and_what_became_of_it() -> None:
    way = Way(status(400, b"no\x00 such\nthing"), dead=[status(500), status(202)])
    assert way.deliver() is Outcome.DEAD_LETTERED
    assert way.dead
    first, second = (request for _, request in way.dead.requests)
    assert str(first.headers) == str(second.headers)
    assert first.headers["ce-id"] == "1"
    assert first.content == MESSAGE.body
    assert first.headers["ce-knativeerrordest"] == "http://sink/in"  # without the password
    assert first.headers["ce-knativeerrorcode"] == "400"
    assert base64.b64decode(first.headers["ce-knativeerrordata"]) == b"no suchthing"
    (line,) = way.book.said("event went to the dead letter sink")
    assert (line["level"], line["event_id"], line["code"], line["attempts"]) == ("warn", "1", "400", 1)
    assert way.book.said("event lost") == []


def test_an_event_that_neither_takes_is_lost_and_both_answers_are_said() -> None:
    way = Way(status(400), dead=repeat(status(503)), policy=Policy(retry=2))
    assert way.deliver() is Outcome.REJECTED
    assert way.dead
    assert len(way.dead.requests) == 3
    (dead,) = way.book.said("the dead letter sink did not take an event")
    (lost,) = way.book.said("event lost")
    assert (dead["code"], dead["attempts"], lost["code"], lost["attempts"]) == ("503", 3, "400", 1)


@pytest.mark.parametrize(
    ("answer", "code", "data"),
    [
        pytest.param(Attempt(Disposition.RETRY, "timeout", "no answer within 10 s"), "500",
                     b"dispatch error: no answer within 10 s", id="no answer"),
        pytest.param(Attempt(Disposition.REJECT, "413", "", body=b"x" * 5000), "413", b"x" * 768, id="long"),
        pytest.param(Attempt(Disposition.REJECT, "404", "", body=b""), "404", None, id="empty"),
    ],
)  # fmt: skip
def test_the_error_extensions_are_knatives(answer: Attempt, code: str, data: bytes | None) -> None:
    headers = dead_letter(MESSAGE, "http://sink", answer).headers
    assert headers["ce-knativeerrorcode"] == code
    written = headers.get("ce-knativeerrordata")
    assert (None if written is None else base64.b64decode(written)) == data
    assert len(written or "") <= 1024


def test_a_hurry_ends_a_wait_and_leaves_one_attempt_at_the_dead_letter_sink() -> None:
    for dead, outcome, asked in (([status(503)], Outcome.GAVE_UP, 1), ([status(202)], Outcome.DEAD_LETTERED, 1)):
        way = Way(then=repeat(status(503, Retry_After="60")), dead=dead)
        assert asyncio.run(hurried(way)) is outcome
        assert way.dead
        assert (len(way.sink.requests), len(way.dead.requests)) == (1, asked)
        assert way.delivery.healthy  # it had no whole budget
        assert way.deliver() is not Outcome.DELIVERED
        assert len(way.sink.requests) == 1  # nothing more is sent there


def test_a_hurry_ends_an_attempt_that_hangs() -> None:
    async def hang(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    way = Way(dead=[status(202)])
    way.sink.channel._clients = ClientPool(lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(hang)))
    assert asyncio.run(hurried(way)) is Outcome.DEAD_LETTERED


async def hurried(way: Way) -> Outcome:
    """Its outcome, if somebody gets in a hurry as soon as it waits."""
    waiting = asyncio.Event()

    async def sleep_until(deadline: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    way.clock.sleep_until = sleep_until  # type: ignore[method-assign, assignment]  # one sleep that is watched
    delivering = asyncio.create_task(way.delivery.deliver(EVENT, MESSAGE))
    await asyncio.wait({asyncio.create_task(waiting.wait())}, timeout=0.2)
    way.delivery.cut_short()
    return await asyncio.wait_for(delivering, 5)


def test_attempts_are_counted_by_code() -> None:
    way = Way(status(500), status(500), httpx2.ConnectError("no"), status(200))
    way.deliver()
    who = 'kind="K",name="n",namespace="ns"'
    assert set(way.series("source_delivery_attempts_total{")) == {
        f'source_delivery_attempts_total{{code="{code}",{who}}} {count}'
        for code, count in [("500", "2.0"), ("transport", "1.0"), ("200", "1.0")]
    }
    assert way.series("source_delivery_duration_seconds_count") == [
        f"source_delivery_duration_seconds_count{{{who}}} 4.0"
    ]


def test_an_outage_of_ten_minutes_leaves_few_lines_and_a_recovery_that_adds_up() -> None:
    way = Way(then=repeat(status(500)))
    outcomes = []
    while way.clock.now() < START + timedelta(minutes=10):
        outcomes.append(way.deliver())
    assert set(outcomes) == {Outcome.GAVE_UP}
    failed = len(way.sink.requests)
    way.sink.answers = chain([status(200)])
    assert way.deliver() is Outcome.DELIVERED
    retried = sum(line["count"] for line in way.book.said("will retry"))
    (recovered,) = way.book.said("recovered")
    assert recovered["failed_attempts"] == failed - len(outcomes) == retried
    assert len(way.book.said("event lost")) == len(outcomes)
    assert len(way.book.lines) < 30


def test_recovery_is_said_once_and_only_after_a_failure_that_was_said() -> None:
    way = Way(status(200), status(500), status(200), status(200))
    for _ in range(3):
        way.deliver()
    assert [line["msg"] for line in way.book.lines] == ["attempt to deliver failed; will retry", "recovered"]


def test_no_line_of_the_log_holds_data_even_if_the_sink_sends_it_back() -> None:
    echo = f"illegal status line: bytearray(b'{SECRET}')"
    refusal = status(400, SECRET.encode(), Echo=SECRET)
    way = Way(httpx2.RemoteProtocolError(echo), status(500), refusal, dead=[status(202)], level=logging.DEBUG)
    way.deliver()
    assert len(way.book.lines) == 2
    assert SECRET not in way.book.text


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
    said = [status(code, **({} if after is None else {"Retry_After": str(after)})) for code, after in answers]
    way = Way(*said, policy=policy, seed=seed)
    assert way.deliver() is Outcome.GAVE_UP
    assert len(way.sink.requests) == retry + 1
    took_s = (way.clock.now() - START).total_seconds()
    assert took_s <= policy.budget_s - policy.timeout_s * (retry + 1) + 0.001  # attempts take no time here


class SetBack(VirtualClock):
    """Set back by an hour at the first sleep, which then never ends by itself."""

    async def sleep_until(self, deadline: datetime) -> None:
        if not self.sleeps:
            self.sleeps.append(deadline)
            self.advance(-3600)
            await asyncio.Event().wait()
        await super().sleep_until(deadline)


def test_a_clock_set_back_holds_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "SET_BACK_S", 0.05)
    way = Way(status(503), status(202), clock=SetBack(), policy=Policy(backoff_delay_s=0.01))
    assert way.deliver() is Outcome.DELIVERED


def test_a_clock_set_back_makes_no_wait_longer_than_may_be_asked_for() -> None:
    way = Way(status(429, Retry_After="20"), status(202), status(202), policy=Policy(retry_after_max_s=30))
    assert way.deliver() is Outcome.DELIVERED
    way.clock.advance(-7200)
    assert way.deliver() is Outcome.DELIVERED
    assert (way.clock.sleeps[-1] - way.clock.sleeps[0]).total_seconds() < -7000
