"""One delivery under a virtual clock to sinks that send scripted responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import chain
from random import Random

import httpx2

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.observe.metrics import Metrics
from adapter.sdk import Event, Outcome
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

SECRET = "the data of the event"
MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, SECRET.encode())
EVENT = Event(type="t", id="1")
DEFAULTS = Policy()
Respond = Exception | Callable[[], httpx2.Response | Awaitable[httpx2.Response]]


def status(code: int, body: bytes = b"", **headers: str) -> Respond:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: httpx2.Response(code, headers=named, stream=httpx2.ByteStream(body))


class Hang:
    """A response that never arrives. ``requested`` is set when the request has arrived."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()

    async def __call__(self) -> httpx2.Response:
        self.requested.set()
        await asyncio.Event().wait()
        raise AssertionError


class FakeSink:
    """A destination that sends ``answers`` in order, and records each request with its time. Further attempts fail."""

    def __init__(self, clock: VirtualClock, url: str, answers: Iterable[Respond]) -> None:
        self.answers = iter(answers)
        self.requests: list[tuple[float, httpx2.Request]] = []
        self._clock = clock
        self.channel = Channel(Destination(url), 10, clock, transport=httpx2.MockTransport(self._answer))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(((self._clock.now() - START).total_seconds(), request))
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        response = answer()
        return response if isinstance(response, httpx2.Response) else await response

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.requests]


class Scenario:
    """A delivery to ``sink``, with a dead letter sink if ``dead`` has its answers."""

    def __init__(
        self,
        *answers: Respond,
        then: Iterable[Respond] = (),
        dead: Iterable[Respond] | None = None,
        policy: Policy = DEFAULTS,
        level: int = logging.INFO,
        seed: int = 7,
        clock: VirtualClock | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.clock, self.book, self.metrics = clock or VirtualClock(), Logbook(level), Metrics("ns", "n", "K")
        self.sink = FakeSink(self.clock, "http://user:pass@sink/in", chain(answers, then))
        self.dead = None if dead is None else FakeSink(self.clock, "http://dead/", dead)
        self.delivery = Delivery(
            self.sink.channel,
            policy,
            self.clock,
            Random(seed),
            self.metrics,
            self.book.log,
            dead_letters=self.dead and self.dead.channel,
            secrets=secrets,
            monotonic=lambda: self.clock.now().timestamp(),
        )

    def deliver(self, caller_timeout_s: float | None = None, *, again: Collection[Outcome] = ()) -> Outcome:
        """``again``: the outcomes after which the source sends the event again."""
        return asyncio.run(
            self.delivery.deliver(
                EVENT, MESSAGE, caller_timeout_s=caller_timeout_s, sends_again=lambda outcome: outcome in again
            )
        )

    def series(self, name: str) -> list[str]:
        return [line for line in self.metrics.render().decode().splitlines() if line.startswith(name)]
