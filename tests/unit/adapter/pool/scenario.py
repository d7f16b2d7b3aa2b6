"""A pool in virtual time, whose sinks are functions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from adapter.assemble import Sinks
from adapter.cloudevents.encode import Message
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import format_time
from adapter.delivery.attempt import Attempt, answered
from adapter.delivery.channel import Channel, OnAnswer
from adapter.model.clock import Clock
from adapter.model.schedule import Schedule
from adapter.pool.groups import Groups
from adapter.pool.metrics import PoolMetrics
from adapter.pool.pool import Pool
from adapter.pool.settings import SourceEnvs
from adapter.serving.health import render
from adapter.testing.clock import START
from tests.logbook import Logbook
from tests.virtual_time import LoopClock

SINK = "http://sink.example/"
KINDS = "tests.unit.adapter.pool.kinds"
EXACT_NS = 1000  # ticks are made at their times
Answer = Callable[["Sent"], Awaitable[Attempt]]


@dataclass(frozen=True)
class Sent:
    at_s: float  # the loop's time
    url: str
    message: Message

    @property
    def id(self) -> str:
        return str(self.message.headers["ce-id"])

    @property
    def uid(self) -> str:
        return self.id.rpartition("-")[0]

    @property
    def due_s(self) -> float:
        """The time of the tick, in seconds of the loop."""
        return int(self.id.rpartition("-")[2]) / 1000 - START.timestamp()


class FakeChannel(Channel):
    scene: Scene

    async def post(self, message: Message, on_answer: OnAnswer = lambda attempt: None) -> Attempt:
        return await self.scene.take(self, message)

    async def aclose(self) -> None:
        self.scene.closed.append(self.destination.url)


async def accept(sent: Sent) -> Attempt:
    return answered(202)


class Scene:
    """``answer``: what the sinks do. ``sent``: all attempts. ``accepted``: those with a 2xx answer."""

    def __init__(self, answer: Answer = accept, **environ: str) -> None:
        self.answer = answer
        self.error: Exception | None = None  # of the next channel
        self.sent: list[Sent] = []
        self.accepted: list[Sent] = []
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.under_way = self.most_under_way = 0
        self.book, self.clock = Logbook(), LoopClock()
        groups = Groups(self.book.log, self.clock, self._sinks)
        self.settled: list[None] = []
        envs = SourceEnvs({"SOURCES_PACKAGE": KINDS, **environ})
        self.pool = Pool(envs, groups, self.clock, self.book.log, lambda: self.settled.append(None), EXACT_NS)

    def _sinks(self, env: AdapterEnv, clock: Clock) -> Sinks:
        if self.error:
            raise self.error
        real = Sinks.of(env, clock)
        return replace(
            real, sink=self._fake(real.sink, env), dead_letters=real.dead_letters and self._fake(real.dead_letters, env)
        )

    def _fake(self, real: Channel, env: AdapterEnv) -> Channel:
        made = FakeChannel(real.destination, env.policy.timeout_s, self.clock)
        made.scene = self
        self.opened.append(real.destination.url)
        return made

    async def take(self, channel: Channel, message: Message) -> Attempt:
        sent = Sent(asyncio.get_running_loop().time(), channel.destination.url, message)
        self.sent.append(sent)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            attempt = await self.answer(sent)
        finally:
            self.under_way -= 1
        if attempt.code.startswith("2"):
            self.accepted.append(sent)
        return attempt

    async def run(self, uid: str, *, absent_only: bool = False, **environ: str) -> str:
        """The answer about one source."""
        answer = await self.pool.run({uid: env_of(uid, **environ)}, absent_only=absent_only)
        return answer[uid]

    async def end(self, uid: str) -> str:
        return (await self.pool.run({uid: None}, absent_only=False))[uid]

    def ids(self, uid: str) -> list[str]:
        return [sent.id for sent in self.accepted if sent.uid == uid]

    def metrics(self) -> dict[str, float]:
        lines = render(PoolMetrics(self.pool, "ns", "p")).decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def count(self, outcome: str, kind: str = "SampleSource") -> float:
        return self.metrics().get(
            f'source_events_total{{kind="{kind}",name="p",namespace="ns",outcome="{outcome}"}}', 0
        )


def env_of(uid: str, **environ: str) -> dict[str, str]:
    """The environment of a SampleSource that was created at ``START``."""
    names = {"NAMESPACE": "team", "NAME": uid, "SOURCE_UID": uid, "EVENT_SOURCE": f"/apis/x/{uid}"}
    own = {"SOURCE_KIND": "SampleSource", "SOURCE_CREATED": format_time(START), "INTERVAL": "10s", "K_SINK": SINK}
    return names | own | environ


def first_due_s(uid: str, interval_s: float = 10.0) -> float:
    """When tick 0 is due, in seconds of the loop."""
    return Schedule.of(uid, START, round(interval_s * 1e9)).due_ns(0) / 1e9 - START.timestamp()


def ids_of(uid: str, count: int, first: int = 0, interval_s: float = 10.0) -> list[str]:
    schedule = Schedule.of(uid, START, round(interval_s * 1e9))
    return [f"{uid}-{schedule.due_ns(n) // 1_000_000}" for n in range(first, first + count)]


async def sleep_until(at_s: float) -> None:
    await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time()))
