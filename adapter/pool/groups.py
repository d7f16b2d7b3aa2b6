"""Sources of one kind with the same sinks and the same policy send over one channel, as one adapter would.

They share the connections, ``Retry-After``, the readiness of the sink, the metrics and the lines of the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from adapter.assemble import Sinks
from adapter.contract.delivery_policy import Policy
from adapter.contract.egress import Egress
from adapter.contract.environment import AdapterEnv
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.clock import Clock
from adapter.observe.metrics import SKIPPED, Metrics
from adapter.runtime.deliveries import Deliveries
from adapter.serving.logs import LogThrottle

ATTEMPTS = 32  # at once, at one destination
MakeSinks = Callable[[AdapterEnv, Clock], Sinks]


class Key(NamedTuple):
    """What the sources of a group have in common."""

    kind: str
    urls: tuple[str, ...]  # of the sink and the dead letter sink
    certificates: tuple[str | None, str | None]
    policy: Policy
    egress: Egress

    @classmethod
    def of(cls, env: AdapterEnv) -> Key:
        urls = tuple(filter(None, (env.sink, env.dead_letter_sink)))
        return cls(env.kind, urls, (env.ca_certs, env.dead_letter_ca_certs), env.policy, env.egress)


class Group:
    """``drain_s``: for the last event of a source that ends. ``count_failure()`` counts a tick that was not made."""

    def __init__(
        self,
        env: AdapterEnv,
        sinks: Sinks,
        log: logging.Logger,
        clock: Clock,
        slots: Slots,
        count_failure: Callable[[], None],
    ) -> None:
        self.kind, self.key = env.kind, Key.of(env)
        self.log = _with_fields(log, kind=env.kind, sink=sinks.sink.destination.public_url)
        self.metrics = Metrics("", "", env.kind)
        self.throttle = LogThrottle(self.log, clock.now)  # of ticks, as in an adapter
        self._delivered = LogThrottle(self.log, clock.now)
        self.count_missed = partial(self.metrics.count_events, SKIPPED)
        self.count_failure = count_failure
        self.members = 0
        self.tasks: set[asyncio.Task[None]] = set()  # of ticks; asyncio itself keeps only weak references
        self._sinks = sinks
        self._stopped = asyncio.Event()
        self._delivery = sinks.delivery(env, clock, self.metrics, self.log, slots=slots.at)
        drain = sinks.drain(env.policy)
        self.drain_s = drain.timeout_s
        self.deliveries = Deliveries(self._delivery, self.metrics, self._delivered, drain, self._stopped)

    def problem(self) -> str | None:
        """Why the sink accepts nothing, or None."""
        return self._delivery.problem()

    async def close(self) -> None:
        """Deliver what is in flight, within the limits of a shutdown."""
        self._stopped.set()
        await self.deliveries.drain()
        if self.tasks:  # those that were ended count their outcome now
            await asyncio.wait(self.tasks, timeout=TIMEOUTS.outcome_s)
        self.throttle.flush()
        self._delivered.flush()
        self._delivery.flush()
        await self._sinks.aclose()


class Slots:
    """One semaphore for each destination, while it is in use."""

    def __init__(self, attempts: int = ATTEMPTS) -> None:
        self._attempts = attempts
        self._of: dict[str, asyncio.Semaphore] = {}

    def at(self, url: str) -> asyncio.Semaphore:
        return self._of.setdefault(url, asyncio.Semaphore(self._attempts))

    def keep(self, urls: set[str]) -> None:
        self._of = {url: slots for url, slots in self._of.items() if url in urls}


class Groups:
    """The groups that have sources, and the counts of those that had some."""

    def __init__(self, log: logging.Logger, clock: Clock, make_sinks: MakeSinks = Sinks.of) -> None:
        self._log = log
        self._clock = clock
        self._make_sinks = make_sinks
        self._slots = Slots()
        self._open: dict[Key, Group] = {}
        self._closing: dict[Group, asyncio.Task[None]] = {}
        self.tick_failures: Counter[str] = Counter()  # by kind
        self._ended: dict[str, Metrics] = {}  # kind -> counts of the groups that are closed

    def join(self, env: AdapterEnv) -> Group:
        """The group of a new source. ``EnvError`` if a URL or a certificate is invalid."""
        key = Key.of(env)
        group = self._open.get(key)
        if group is None:
            sinks = self._make_sinks(env, self._clock)
            count_failure = partial(self._count_failure, env.kind)
            group = self._open[key] = Group(env, sinks, self._log, self._clock, self._slots, count_failure)
        group.members += 1
        return group

    def leave(self, group: Group) -> None:
        """A source has ended. The group is closed with its last one."""
        group.members -= 1
        if group.members == 0:
            del self._open[group.key]
            self._closing[group] = asyncio.create_task(self._close(group))

    async def close(self) -> None:
        """Wait until all groups are closed; all sources have ended."""
        await asyncio.gather(*self._closing.values())

    def __iter__(self) -> Iterator[Group]:
        return iter([*self._open.values(), *self._closing])

    def metrics(self, namespace: str, name: str) -> list[Metrics]:
        """The sums for each kind."""
        sums: dict[str, Metrics] = {}
        for each in [*self._ended.values(), *(group.metrics for group in self)]:
            sums.setdefault(each.kind, Metrics(namespace, name, each.kind)).add(each)
        return list(sums.values())

    def _count_failure(self, kind: str) -> None:
        self.tick_failures[kind] += 1

    async def _close(self, group: Group) -> None:
        try:
            await group.close()
        finally:
            del self._closing[group]
            self._ended.setdefault(group.kind, Metrics("", "", group.kind)).add(group.metrics)
            self._slots.keep({url for each in self for url in each.key.urls})


def _with_fields(log: logging.Logger, **fields: Any) -> logging.Logger:
    """A logger of the same name that adds ``fields`` to each line of ``log``."""

    def add(record: logging.LogRecord) -> bool:
        record.fields = {**fields, **getattr(record, "fields", {})}
        return True

    made = logging.Logger(log.name, log.getEffectiveLevel())
    made.parent = log
    made.addFilter(add)
    return made
