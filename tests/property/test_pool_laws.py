"""A source sends the same bytes at the same times from a pool as from its own adapter."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adapter.assemble import Sinks, encoder
from adapter.cloudevents.encode import Message
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import format_time
from adapter.delivery.attempt import Attempt, answered
from adapter.delivery.channel import Channel, OnAnswer
from adapter.delivery.request import Target
from adapter.loading import load_source
from adapter.model.clock import Clock
from adapter.model.source import Context
from adapter.observe.metrics import Metrics
from adapter.pool.groups import Groups
from adapter.pool.metrics import PoolMetrics
from adapter.pool.pool import Pool
from adapter.pool.settings import SourceEnvs
from adapter.runtime.runtime import Runtime
from adapter.serving.health import Metrics as Collected
from adapter.serving.health import render
from adapter.testing.clock import START
from tests.logbook import Logbook
from tests.virtual_time import LoopClock, run

SECONDS = 40.0
DRAIN_S = 10.0  # at most: the longest answer of the sink, and the time for its outcome
SKIPPED_LINE = "overdue ticks skipped"
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@dataclass
class World:
    """The sink answers with ``statuses``, in turn and after ``delays`` seconds; then with 202 at once."""

    statuses: list[int]
    delays: list[float]
    sent: list[tuple[int, bytes]]  # milliseconds of the loop, request

    async def post(self, url: str, message: Message) -> Attempt:
        n = len(self.sent)
        at_ms = round(asyncio.get_running_loop().time() * 1000)
        self.sent.append((at_ms, Target.of(url).request(message.headers, message.body)))
        await asyncio.sleep(self.delays[n] if n < len(self.delays) else 0)
        return answered(self.statuses[n] if n < len(self.statuses) else 202)


class FakeChannel(Channel):
    world: World

    async def post(self, message: Message, on_answer: OnAnswer = lambda attempt: None) -> Attempt:
        return await self.world.post(self.destination.url, message)


def sinks_of(world: World, env: AdapterEnv, clock: Clock) -> Sinks:
    real = Sinks.of(env, clock)
    channel = FakeChannel(real.sink.destination, env.policy.timeout_s, clock)
    channel.world = world
    return replace(real, sink=channel)


def counts_of(metrics: Collected) -> list[str]:
    return sorted(line for line in render(metrics).decode().splitlines() if line.startswith("source_events_total"))


def digest_of(book: Logbook) -> list[dict[str, Any]]:
    """What the lines count, without the fields that a group adds and the pool does not log."""
    kept = ("msg", "count", "from", "to", "next_sequence", "event_id", "first_event_id", "code")
    lines = [line for line in book.lines if line["level"] in ("warn", "error")]
    return [{name: line[name] for name in kept if name in line} for line in lines]


async def alone(environ: dict[str, str], start_s: float, world: World) -> tuple[list[str], list[dict[str, Any]]]:
    """An ordinary adapter."""
    await asyncio.sleep(start_s)
    env, clock, book = AdapterEnv.from_environ(environ), LoopClock(), Logbook()
    metrics, sinks = Metrics("ns", "p", env.kind), sinks_of(world, env, clock)
    context = Context(env.source, env.identity, env.created, clock, book.log)
    delivery = sinks.delivery(env, clock, metrics, book.log)
    runtime = Runtime(load_source(env), context, encoder(env), delivery, metrics, sinks.drain(env.policy))
    running = asyncio.create_task(runtime.run())
    await asyncio.sleep(SECONDS)
    runtime.stop()
    await running
    return counts_of(metrics), digest_of(book)


async def pooled(environ: dict[str, str], start_s: float, world: World) -> tuple[list[str], list[dict[str, Any]]]:
    await asyncio.sleep(start_s)
    clock, book = LoopClock(), Logbook()
    groups = Groups(book.log, clock, lambda env, clock: sinks_of(world, env, clock))
    pool = Pool(SourceEnvs({}), groups, clock, book.log, slack_ns=1000)  # ticks are made at their times
    uid = environ["SOURCE_UID"]
    assert await pool.run({uid: environ}, absent_only=False) == {uid: ""}
    await asyncio.sleep(SECONDS)
    pool.stop()
    await pool.drain()
    return counts_of(PoolMetrics(pool, "ns", "p")), digest_of(book)


environs = st.fixed_dictionaries(
    {
        "NAMESPACE": texts,
        "NAME": texts,
        "EVENT_SOURCE": texts.map(lambda text: f"/apis/{text}"),
        "SOURCE_UID": st.uuids().map(str),
        "SOURCE_CREATED": st.integers(0, 10**6).map(lambda s: format_time(START - timedelta(seconds=s))),
        "INTERVAL": st.sampled_from(["300ms", "1s", "1.7s", "10s", "1m", "25h"]),
        "SOURCE_CONFIG": st.fixed_dictionaries(
            {"missed": st.sampled_from(["skip", "latest", "all"]), "missedWindow": st.sampled_from(["1s", "30s", "1h"])}
        ).map(json.dumps),
        "K_CE_OVERRIDES": st.dictionaries(st.sampled_from(["team", "a1"]), texts, max_size=2).map(
            lambda extensions: json.dumps({"extensions": extensions})
        ),
        "K_SINK": st.sampled_from(["http://sink/", "http://sink:8080/a?b=c"]),
        "SOURCE_DELIVERY": st.just('{"retry":0}'),
    }
)


@settings(max_examples=30, deadline=None, phases=[Phase.generate])  # to shrink a failure takes minutes
@given(
    environs,
    st.floats(0, 100),
    st.lists(st.sampled_from([202, 200, 400, 503, 404]), max_size=12),
    st.lists(st.sampled_from([0.0, 0.2, 1.5, 3.0, 9.0]), max_size=12),
)
def test_pool_and_adapter_send_the_same_bytes_at_the_same_times_and_count_the_same(
    environ: dict[str, str], start_s: float, statuses: list[int], delays: list[float]
) -> None:
    own, shared = World(statuses, delays, []), World(statuses, delays, [])
    counts, lines = run(alone(environ, start_s, own))
    pool_counts, pool_lines = run(pooled(environ, start_s, shared))
    assert shared.sent == own.sent
    skipped, in_pool = count_skipped(lines), count_skipped(pool_lines)
    # An adapter counts until its event in flight has ended. Each leaves the last due tick to the next process.
    assert -1 <= skipped - in_pool <= DRAIN_S * 1000 // 300
    assert f'outcome="skipped"}} {in_pool:.1f}' in "".join(pool_counts)
    assert without_skipped(pool_counts, pool_lines) == without_skipped(counts, lines)


def count_skipped(lines: list[dict[str, Any]]) -> int:
    return sum(line["count"] for line in lines if line["msg"] == SKIPPED_LINE)


def without_skipped(counts: list[str], lines: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    rest = [line for line in lines if line["msg"] != SKIPPED_LINE]
    return [count for count in counts if 'outcome="skipped"' not in count], rest
