"""One message to one sink under a virtual clock: what each answer means, when to try again, when to stop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from itertools import chain, islice, repeat
from random import Random

import httpx2
import pytest
import trustme

from adapter.contract import AdapterEnv, EnvError
from adapter.delivery import (
    BODY_LIMIT,
    RETRY_AFTER_LIMIT_S,
    Delivery,
    Verdict,
    backoff,
    open_client,
    retry_after_s,
    tls_context,
    verdict,
)
from adapter.events import Message
from adapter.metrics import Metrics
from adapter.sdk import Event, Outcome
from tests.clock import START, VirtualClock
from tests.logbook import Logbook

SECRET = "the data of the event"
MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, SECRET.encode())
Answer = Exception | Callable[[], httpx2.Response]


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: httpx2.Response(code, headers=named, stream=httpx2.ByteStream(b""))


class Sink:
    """Gives ``answers`` in turn and keeps what it was sent and when."""

    def __init__(self, *answers: Answer, then: Iterable[Answer] = (), level: int = logging.INFO) -> None:
        self.answers = chain(answers, then)
        self.clock, self.book, self.metrics = VirtualClock(), Logbook(level), Metrics("ns", "n", "K")
        self.requests: list[tuple[float, httpx2.Request]] = []
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer), timeout=None)
        env = AdapterEnv(sink="http://sink/")
        self.delivery = Delivery(self.client, env, self.clock, Random(7), self.metrics, self.book.log)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(((self.clock.now() - START).total_seconds(), request))
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer()

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.requests]

    def deliver(self, deadline_s: float | None = None) -> Outcome:
        deadline = None if deadline_s is None else self.clock.now() + timedelta(seconds=deadline_s)
        return asyncio.run(self.delivery.deliver(Event(type="t", id="1", deadline=deadline), MESSAGE))


RETRIED = {404, 408, 409, 429, *range(500, 600)}


@pytest.mark.parametrize("code", range(100, 600))
def test_the_verdict_on_a_status_is_the_data_plane_specifications(code: int) -> None:
    expected = Verdict.ACCEPT if code // 100 == 2 else Verdict.RETRY if code in RETRIED else Verdict.REJECT
    assert verdict(code) is expected


def test_a_status_outside_the_specifications_table_is_tried_again() -> None:
    assert {verdict(code) for code in range(600, 1000)} == {Verdict.RETRY}


class Highest(Random):
    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_the_limit_of_the_backoff_doubles_from_a_tenth_of_a_second_to_half_a_minute() -> None:
    limits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert list(islice(backoff(Highest()), 11)) == pytest.approx(limits)


def test_jitter_is_full() -> None:
    waits = sorted(next(backoff(Random(seed))) for seed in range(1000))
    assert waits[0] < 0.001
    assert waits[-1] > 0.099
    assert 0.045 < waits[500] < 0.055


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param(None, 0, id="absent"),
        pytest.param("3", 3, id="seconds"),
        pytest.param(" 3 ", 3, id="blanks"),
        pytest.param("00000000000000007", 7, id="leading-zeros"),
        pytest.param("Thu, 01 Jan 2026 00:00:09 GMT", 9, id="date"),
        pytest.param("Thu, 01 Jan 2026 00:00:09 -0000", 9, id="date-without-zone"),
        pytest.param("Thu, 01 Jan 2026 02:00:09 +0200", 9, id="date-elsewhere"),
        pytest.param("Wed, 31 Dec 2025 23:59:59 GMT", 0, id="past"),
        pytest.param("Fri, 01 Jan 2027 00:00:00 GMT", RETRY_AFTER_LIMIT_S, id="date-too-far"),
        pytest.param("999999", RETRY_AFTER_LIMIT_S, id="too-long"),
        pytest.param("9" * 5000, RETRY_AFTER_LIMIT_S, id="thousands-of-digits"),
        pytest.param("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", 0, id="year-beyond-c"),
        pytest.param("Thu, 01 Jan 2026 00:00:00 +99999999999999", 0, id="zone-beyond-c"),
        pytest.param("soon", 0, id="garbage"),
        pytest.param("", 0, id="empty"),
        pytest.param("-5", 0, id="negative"),
        pytest.param("1.5", 0, id="fraction"),
        pytest.param("٣", 0, id="other-digits"),
    ],
)
def test_retry_after_is_read_or_ignored(text: str | None, seconds: float) -> None:
    assert retry_after_s(text, START) == seconds


@pytest.mark.parametrize("code", [200, 202, 204, 299])
def test_an_accepted_event_is_sent_once(code: int) -> None:
    sink = Sink(status(code, Retry_After="60"))
    assert sink.deliver() is Outcome.DELIVERED
    assert (len(sink.requests), sink.clock.sleeps) == (1, [])
    (success,) = [
        line for line in sink.metrics.render().decode().splitlines() if line.startswith("source_last_success")
    ]
    assert float(success.rpartition(" ")[2]) == START.timestamp()


@pytest.mark.parametrize("code", [300, 302, 304, 400, 401, 403, 410, 413, 422])
def test_a_rejected_event_is_sent_once_and_said(code: int) -> None:
    sink = Sink(status(code))
    assert sink.deliver() is Outcome.REJECTED
    (line,) = sink.book.lines
    assert (line["msg"], line["code"], line["attempt"]) == ("event rejected by the sink", str(code), 1)


def test_every_attempt_sends_the_same_bytes() -> None:
    sink = Sink(status(500), httpx2.ConnectError("no"), status(429), status(200))
    assert sink.deliver() is Outcome.DELIVERED
    sent = {(request.method, str(request.url), str(request.headers), request.content) for _, request in sink.requests}
    assert len(sink.requests) == 4
    assert len(sent) == 1
    assert sink.requests[0][1].content == MESSAGE.body


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(httpx2.ConnectError("refused"), id="connect"),
        pytest.param(httpx2.RemoteProtocolError("garbage"), id="protocol"),
        pytest.param(httpx2.InvalidURL("bad"), id="url"),
        pytest.param(ssl.SSLError("bad record mac"), id="tls-while-reading"),
        pytest.param(UnicodeError("label too long"), id="host-name"),
        pytest.param(RuntimeError("who knows"), id="unforeseen"),
        pytest.param(ExceptionGroup("several", [OSError("a")]), id="group"),
    ],
)
def test_no_exception_of_the_client_ends_the_adapter(error: Exception) -> None:
    sink = Sink(error, status(202))
    assert sink.deliver() is Outcome.DELIVERED
    assert (sink.book.lines[0]["code"], sink.book.lines[0]["level"]) == ("transport", "warn")
    assert type(error).__name__ in sink.book.lines[0]["reason"]


def test_a_sink_that_never_answers_is_a_timeout_and_tried_again() -> None:
    async def hang(request: httpx2.Request) -> httpx2.Response:
        if not sink.requests:
            sink.requests.append((0.0, request))
            await asyncio.Event().wait()
        return httpx2.Response(202)

    sink = Sink()
    sink.delivery._client = httpx2.AsyncClient(transport=httpx2.MockTransport(hang))
    sink.delivery._timeout_s = 0.01  # type: ignore[assignment]
    assert sink.deliver() is Outcome.DELIVERED
    assert sink.book.lines[0]["code"] == "timeout"


def test_an_answer_counts_although_its_body_never_ends() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 4096
            yield b"x" * 4096

    sink = Sink(lambda: httpx2.Response(202, content=endless()))
    assert sink.deliver() is Outcome.DELIVERED
    assert BODY_LIMIT < read <= BODY_LIMIT + 4096


def test_an_answer_counts_although_its_body_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    monkeypatch.setattr("adapter.delivery.BODY_S", 0.01)
    sink = Sink(lambda: httpx2.Response(202, content=stalls()))
    started = time.monotonic()
    assert sink.deliver() is Outcome.DELIVERED
    assert time.monotonic() - started < 5  # K_SINK_TIMEOUT is 10 s
    assert sink.book.lines == []


def test_an_answer_counts_although_its_body_breaks_off() -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x"
        raise httpx2.ReadError("reset")

    sink = Sink(lambda: httpx2.Response(400, content=breaks()))
    assert sink.deliver() is Outcome.REJECTED


def test_retry_after_is_waited_for() -> None:
    sink = Sink(status(503, Retry_After="7"), status(429, Retry_After="Thu, 01 Jan 2026 00:00:20 GMT"), status(200))
    assert sink.deliver() is Outcome.DELIVERED
    assert sink.times == [0, 7, 20]


def test_the_backoff_is_waited_for_if_retry_after_is_shorter() -> None:
    sink = Sink(then=repeat(status(503, Retry_After="1")))
    sink.deliver(deadline_s=300)
    assert max(b - a for a, b in zip(sink.times, sink.times[1:], strict=False)) > 10
    assert min(b - a for a, b in zip(sink.times, sink.times[1:], strict=False)) == 1


def test_no_attempt_starts_at_or_after_the_deadline() -> None:
    sink = Sink(then=repeat(status(500)))
    assert sink.deliver(deadline_s=10) is Outcome.GAVE_UP
    assert 3 < len(sink.times) < 40
    assert max(sink.times) < 10
    assert sink.clock.now() < START + timedelta(seconds=10)  # nor is the rest of the time waited for
    (gave_up,) = sink.book.said("gave up")
    assert (gave_up["attempt"], gave_up["code"]) == (len(sink.times), "500")


def test_an_attempt_that_can_start_only_at_the_deadline_does_not() -> None:
    sink = Sink(status(503, Retry_After="5"), status(200))
    assert sink.deliver(deadline_s=5) is Outcome.GAVE_UP
    assert (sink.times, sink.clock.sleeps) == ([0], [])


def test_a_sleep_that_ends_after_the_deadline_is_followed_by_no_attempt() -> None:
    sink = Sink(status(503), status(200))
    sink.delivery._clock = sink.clock = VirtualClock(late_s=60)
    assert sink.deliver(deadline_s=30) is Outcome.GAVE_UP
    assert len(sink.requests) == 1


def test_the_first_attempt_is_made_even_if_it_is_late() -> None:
    assert Sink(status(200)).deliver(deadline_s=-1) is Outcome.DELIVERED


def test_attempts_are_counted_by_code() -> None:
    sink = Sink(status(500), status(500), httpx2.ConnectError("no"), status(200))
    sink.deliver()
    text = sink.metrics.render().decode()
    counted = {line for line in text.splitlines() if line.startswith("source_delivery_attempts_total{")}
    who = 'kind="K",name="n",namespace="ns"'
    assert counted == {
        f'source_delivery_attempts_total{{code="{code}",{who}}} {count}'
        for code, count in [("500", "2.0"), ("transport", "1.0"), ("200", "1.0")]
    }
    assert f"source_delivery_duration_seconds_count{{{who}}} 4.0" in text


def test_an_outage_of_ten_minutes_at_100_ms_leaves_few_lines_and_a_recovery_that_adds_up() -> None:
    sink = Sink(then=repeat(status(500)))
    outcomes = []
    while sink.clock.now() < START + timedelta(minutes=10):
        at = sink.clock.now()
        outcomes.append(sink.deliver(deadline_s=0.1))
        sink.clock._now = max(sink.clock.now(), at + timedelta(seconds=0.1))
    assert set(outcomes) == {Outcome.GAVE_UP}
    failed = len(sink.requests)
    sink.answers = chain([status(200)])
    sink.clock.advance(60)
    assert sink.deliver() is Outcome.DELIVERED
    assert len(sink.book.lines) < 30
    (recovered,) = sink.book.said("recovered")
    assert recovered["failed_attempts"] == failed
    assert sum(line["count"] for line in sink.book.said("gave up")) == len(outcomes)


def test_recovery_is_said_once_and_only_after_a_failure_that_was_said() -> None:
    sink = Sink(status(200), status(500), status(200), status(200))
    for _ in range(3):
        sink.deliver()
    assert [line["msg"] for line in sink.book.lines] == ["attempt to deliver failed; will retry", "recovered"]


def test_no_line_of_the_log_holds_data_even_if_the_sink_sends_it_back() -> None:
    echo = f"illegal status line: bytearray(b'{SECRET}')"
    sink = Sink(httpx2.RemoteProtocolError(echo), status(500), status(400, Echo=SECRET), level=logging.DEBUG)
    sink.deliver()
    assert len(sink.book.lines) == 2
    assert SECRET not in sink.book.text
    assert sink.book.lines[0]["reason"] == "RemoteProtocolError: illegal status line"


def test_tls_1_1_is_not_spoken() -> None:
    assert tls_context(AdapterEnv(sink="https://h")).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_environments_authorities_come_on_top_of_the_systems() -> None:
    own = trustme.CA().cert_pem.bytes().decode()
    system = len(tls_context(AdapterEnv(sink="https://h")).get_ca_certs())
    commented = f"# Schlüssel der Behörde\n{own}"
    assert len(tls_context(AdapterEnv(sink="https://h", ca_certs=commented)).get_ca_certs()) == system + 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x", id="no-pem"),
        pytest.param("ü", id="not-ascii"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="no-certificate"),
    ],
)
def test_authorities_that_cannot_be_read_are_an_environment_error(text: str) -> None:
    with pytest.raises(EnvError, match=r"K_CA_CERTS is .*: write PEM certificates"):
        tls_context(AdapterEnv(sink="https://h", ca_certs=text))


def test_a_sink_the_client_cannot_read_is_an_environment_error() -> None:
    with pytest.raises(EnvError, match="K_SINK"):
        open_client(AdapterEnv(sink="http://[::1"))
