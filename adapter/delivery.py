"""Hand one message to the sink: at least once, with the retry table of Knative's data-plane specification.

Every attempt sends the same bytes. Redirects are answers, not addresses to go to; cookies are not kept. No exception
of the HTTP client gets out: an attempt that failed in a way nobody foresaw is an attempt to make again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from http.cookiejar import CookieJar, DefaultCookiePolicy
from random import Random

import httpx2

from adapter.contract import AdapterEnv, EnvError
from adapter.events import Message
from adapter.logs import Digest
from adapter.metrics import Metrics
from adapter.source import Clock, Event, Outcome

BACKOFF_S = (0.1, 30.0)
RETRY_AFTER_LIMIT_S = 3600.0
BODY_LIMIT = 64 * 1024
BODY_S = 1.0  # after the answer; the event is delivered or not, and the next one waits


class Verdict(Enum):
    ACCEPT = "accept"
    RETRY = "retry"
    REJECT = "reject"


@dataclass(frozen=True)
class Answer:
    """What one attempt brought: ``code`` is a status code, or ``timeout`` or ``transport``."""

    verdict: Verdict
    code: str
    reason: str = ""
    retry_after_s: float = 0.0


def verdict(status: int) -> Verdict:
    """Knative data-plane spec, "Event acknowledgement and delivery retry"; codes it does not list should be retried."""
    if 200 <= status < 300:
        return Verdict.ACCEPT
    if status in (404, 408, 409, 429) or status >= 500:
        return Verdict.RETRY
    return Verdict.REJECT


def backoff(rng: Random) -> Iterator[float]:
    """Seconds to wait before each retry: full jitter under a limit that doubles."""
    limit_s, longest_s = BACKOFF_S
    while True:
        yield rng.uniform(0, limit_s)
        limit_s = min(2 * limit_s, longest_s)


def retry_after_s(text: str | None, now: datetime) -> float:
    """Seconds that a ``Retry-After`` header asks for; 0 if there is none or it cannot be read."""
    if text is None:
        return 0.0
    if text.strip().isdecimal() and text.isascii():
        seconds = float(text)  # of any length: what is too long for a float is infinite
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0.0
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT_S)


def tls_context(env: AdapterEnv) -> ssl.SSLContext:
    """System roots and ``K_CA_CERTS``. Without https nothing is loaded (it costs megabytes) and nothing is trusted."""
    https = env.sink.lower().startswith("https:")
    context = ssl.create_default_context() if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if env.ca_certs:
        try:
            context.load_verify_locations(cadata=env.ca_certs.encode("ascii", "replace").decode())  # comments
        except ssl.SSLError:
            raise EnvError("K_CA_CERTS", env.ca_certs, "write PEM certificates") from None
    return context


def open_client(env: AdapterEnv) -> httpx2.AsyncClient:
    """One connection kept for as long as the sink keeps it; ``asyncio.timeout`` bounds each attempt as a whole."""
    try:
        httpx2.URL(env.sink)
    except httpx2.InvalidURL:
        raise EnvError("K_SINK", env.sink, "write the absolute http(s) URL that events are sent to") from None
    limits = httpx2.Limits(keepalive_expiry=None)
    return httpx2.AsyncClient(
        verify=tls_context(env),
        limits=limits,
        timeout=None,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
    )


class Delivery:
    """The way to one sink."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        env: AdapterEnv,
        clock: Clock,
        rng: Random,
        metrics: Metrics,
        log: logging.Logger,
    ) -> None:
        self._client = client
        self._sink = env.sink
        self._timeout_s = env.sink_timeout_s
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._log = log
        self._digest = Digest(log, clock.now)
        self._failed_attempts = 0
        self._failure_said = False

    async def deliver(self, event: Event, message: Message) -> Outcome:
        """Ends with the sink's answer, or when no further attempt can start before the event's deadline.

        The first attempt is always made: at 1 ms an event is often late before it is encoded.
        """
        for attempt, wait_s in enumerate(backoff(self._rng), start=1):
            answer = await self._attempt(message)
            if answer.verdict is Verdict.ACCEPT:
                return self._accepted(event, attempt)
            self._failed_attempts += 1
            if answer.verdict is Verdict.REJECT:
                return self._lost("event rejected by the sink", Outcome.REJECTED, event, attempt, answer)
            again = self._clock.now() + timedelta(seconds=max(wait_s, answer.retry_after_s))
            if not _passed(event.deadline, again):
                self._warn("attempt to deliver failed; will retry", event, attempt, answer)
                await self._clock.sleep_until(again)
            if _passed(event.deadline, max(again, self._clock.now())):  # a sleep may end late
                return self._lost("gave up on an event: the next is due", Outcome.GAVE_UP, event, attempt, answer)
        raise AssertionError("backoff ended")

    async def _attempt(self, message: Message) -> Answer:
        started = time.perf_counter()
        answer = await self._post(message)
        self._metrics.duration.observe(time.perf_counter() - started)
        self._metrics.count_attempt(answer.code)
        return answer

    async def _post(self, message: Message) -> Answer:
        answer = None
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", self._sink, content=message.body, headers=message.headers) as response,
            ):
                answer = self._judge(response)
                await _discard_body(response)
        except TimeoutError:
            return answer or Answer(Verdict.RETRY, "timeout", f"no answer within {self._timeout_s} s")
        except Exception as error:  # httpx2.RequestError, and what httpx2 lets through: ssl.SSLError, UnicodeError
            return answer or Answer(Verdict.RETRY, "transport", _reason(error))
        return answer

    def _judge(self, response: httpx2.Response) -> Answer:
        status = response.status_code
        wait_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now())
        return Answer(verdict(status), str(status), f"the sink answered {status}", wait_s)

    def _accepted(self, event: Event, attempt: int) -> Outcome:
        self._metrics.last_success.set(self._clock.now().timestamp())
        self._digest.settle()
        if self._failure_said:
            self._log.info(
                "recovered", extra={"fields": {"failed_attempts": self._failed_attempts, "event_id": event.id}}
            )
            self._failure_said, self._failed_attempts = False, 0
        self._log.debug(
            "delivered", extra={"fields": {"event_id": event.id, "event_type": event.type, "attempt": attempt}}
        )
        return Outcome.DELIVERED

    def _lost(self, message: str, outcome: Outcome, event: Event, attempt: int, answer: Answer) -> Outcome:
        self._warn(message, event, attempt, answer)
        return outcome

    def _warn(self, message: str, event: Event, attempt: int, answer: Answer) -> None:
        said = self._digest.warning(
            message, event_id=event.id, event_type=event.type, attempt=attempt, code=answer.code, reason=answer.reason
        )
        self._failure_said = self._failure_said or said


def _passed(deadline: datetime | None, moment: datetime) -> bool:
    return deadline is not None and moment >= deadline


def _reason(error: Exception) -> str:
    """h11 quotes the octets it cannot read, and a sink may send the event's data back: they stay out of the log."""
    text = str(error).partition("bytearray(")[0][:200]
    return f"{type(error).__name__}: {text}".rstrip(": ")


async def _discard_body(response: httpx2.Response) -> None:
    """Read to the end so that the connection can be used again; a long or slow body is not worth it."""
    size = 0
    async with asyncio.timeout(BODY_S):
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > BODY_LIMIT:
                return
