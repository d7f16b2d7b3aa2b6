"""The metrics of adapters, summed up for each kind, and those of the pool. ``name`` is that of the SourcePool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from adapter.pool.pool import Pool
from adapter.serving.health import counter

if TYPE_CHECKING:
    from prometheus_client.core import Metric

LABELS = ("namespace", "name", "kind")


class PoolMetrics:
    def __init__(self, pool: Pool, namespace: str, name: str) -> None:
        self._pool = pool
        self._namespace, self._name = namespace, name

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for of_kind in self._pool.groups.metrics(self._namespace, self._name):
            for family in of_kind.collect():
                if family.name in families:
                    families[family.name].samples.extend(family.samples)
                else:
                    families[family.name] = family
        yield from families.values()
        running = Counter(source.group.kind for source in self._pool.running())
        failures = self._pool.groups.tick_failures
        yield gauges("source_pool_sources", "Sources that run", self._rows(running))
        yield counter("source_pool_tick_failures", "Ticks that raised an exception", LABELS, self._rows(failures))

    def _rows(self, counts: Counter[str]) -> list[tuple[tuple[str, ...], float]]:
        kinds = {of_kind.kind for of_kind in self._pool.groups.metrics("", "")}
        return [((self._namespace, self._name, kind), counts[kind]) for kind in sorted(kinds)]


def gauges(name: str, help: str, rows: list[tuple[tuple[str, ...], float]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, help, labels=LABELS)
    for values, value in rows:
        family.add_metric(values, value)
    return family
