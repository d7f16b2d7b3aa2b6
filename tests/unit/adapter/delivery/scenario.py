"""One delivery under a virtual clock to sinks whose attempts are scripted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain
from random import Random

from adapter.cloudevents.encode import Message
from adapter.contract.delivery_policy import Policy
from adapter.delivery.attempt import Attempt, Disposition, answered
from adapter.delivery.channel import Destination
from adapter.delivery.delivery import Delivery
from adapter.net.retry_after import retry_after_s
from adapter.observe.metrics import Metrics
from adapter.sdk import Event, Outcome
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

SECRET = "the data of the event"
MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, SECRET.encode())
EVENT = Event(type="t", id="1")
DEFAULTS = Policy()


@dataclass(frozen=True)
class Answer:
    """A response; ``retry_after`` is its header."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


Respond = Attempt | Answer | Callable[[], Awaitable[Attempt]]


def status(code: int, body: bytes = b"", Retry_After: str | None = None) -> Answer:
    return Answer(code, body, Retry_After)


def unreachable(reason: str = "no connection: connection refused") -> Attempt:
    return Attempt(Disposition.RETRY, "transport", reason)


class Hang:
    """An attempt that does not end. ``requested`` is set when it has begun."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()

    async def __call__(self) -> Attempt:
        self.requested.set()
        await asyncio.Event().wait()
        raise AssertionError


class FakeSink:
    """Stands for a ``Channel``: gives ``answers`` in order and records each message with its time; then it fails."""

    def __init__(self, clock: VirtualClock, url: str, answers: Iterable[Respond]) -> None:
        self.destination = Destination(url)
        self.secrets = self.destination.secrets
        self.answers = iter(answers)
        self.requests: list[tuple[float, Message]] = []
        self._clock = clock

    async def post(self, message: Message, on_answer: object = None) -> Attempt:
        self.requests.append(((self._clock.now() - START).total_seconds(), message))
        answer = next(self.answers, unreachable())
        if isinstance(answer, Attempt):
            return answer
        if isinstance(answer, Answer):
            wait_s = retry_after_s(answer.retry_after, self._clock.now())
            return answered(answer.status, wait_s, answer.body)
        return await answer()

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
            self.sink,  # type: ignore[arg-type]  # it has what Delivery uses
            policy,
            self.clock,
            Random(seed),
            self.metrics,
            self.book.log,
            dead_letters=self.dead,  # type: ignore[arg-type]
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
