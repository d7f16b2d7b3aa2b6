"""Metrics in the text format of Prometheus.

Counts are plain numbers. prometheus_client renders them and is imported at the first scrape: it takes two megabytes,
and many processes are never scraped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from adapter.serving.messages import Response

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"  # the format of generate_latest()

Labels = tuple[str, ...]  # the values of the labels of one series, in the order of their names


class Durations:
    """A histogram of durations. ``bounds_s``: the upper bounds of its buckets in seconds, ascending."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self._within = [0] * (len(bounds_s) + 1)  # per bucket, not cumulative; the last one has no bound
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._within[bisect_left(self._bounds_s, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound -> number of durations up to it."""
        bounds = [*map(str, self._bounds_s), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._within)), strict=True))


class Metrics(Protocol):
    def collect(self) -> Iterable[Metric]: ...


def counter(name: str, help: str, labels: Sequence[str], counts: Iterable[tuple[Labels, float]]) -> Metric:
    """``name`` without its suffix ``_total``."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, help, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def gauge(name: str, help: str, labels: Sequence[str], values: Labels, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, help, labels=labels)
    family.add_metric(values, value)
    return family


def histogram(name: str, help: str, labels: Sequence[str], durations: Iterable[tuple[Labels, Durations]]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, help, labels=labels)
    for values, each in durations:
        family.add_metric(values, each.buckets(), each.sum_s)
    return family


def page(metrics: Metrics) -> Response:
    return Response(200, render(metrics), {"Content-Type": CONTENT_TYPE})


def render(metrics: Metrics) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry)
