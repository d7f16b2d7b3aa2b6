"""The health port: a few pages that answer GET, its limits, and metrics in the text format of Prometheus.

Counts are plain numbers. prometheus_client renders them and is imported at the first scrape: it takes two megabytes,
and many processes are never scraped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from adapter.serving.limits import Handler, Limits
from adapter.serving.messages import Request, Response

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"  # the format of generate_latest()

Page = Callable[[], Response]
Labels = tuple[str, ...]  # the values of the labels of one series, in the order of their names


def health(unready_reason: Callable[[], str | None], metrics: Page) -> dict[str, Page]:
    """``/health`` answers 200, ``/readiness`` 200 or 503 with the reason, ``/metrics`` the metrics.

    ``/healthz`` and ``/readyz`` are the same pages under the names that Kubernetes' own components use.
    """

    def live() -> Response:
        return Response(200, b"ok\n")

    def ready() -> Response:
        reason = unready_reason()
        return live() if reason is None else Response(503, f"{reason}\n".encode())

    return {
        "/health": live,
        "/readiness": ready,
        "/metrics": metrics,
        "/healthz": live,
        "/readyz": ready,
    }


def serve_pages(pages: Mapping[str, Page]) -> Handler:
    """Answers GET and HEAD. Another path is 404 and lists the pages; another method is 405."""

    async def handle(request: Request) -> Response:
        page = pages.get(request.path)
        if page is None:
            return Response(404, f"the pages are {', '.join(pages)}\n".encode())
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"the method must be GET\n", {"Allow": "GET, HEAD"})
        return page()

    return handle


def limits(probe_s: float) -> Limits:
    """``probe_s``: seconds for a head, for a body, and for an idle connection."""
    return Limits(
        head_s=probe_s,
        body_s=probe_s,
        keep_alive_s=probe_s,
        head_size=16 * 1024,
        body_size=16 * 1024,
        total_size=4 * 1024 * 1024,  # so that the other port of the process may use the rest
        connections=64,
    )


class Durations:
    """A histogram of durations. ``bounds_s``: the upper bounds of its buckets in seconds, ascending."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self._within = [0] * (len(bounds_s) + 1)  # per bucket, not cumulative; the last one has no bound
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._within[bisect_left(self._bounds_s, seconds)] += 1
        self.sum_s += seconds

    def merge(self, other: Durations) -> None:
        """Add those of another histogram with the same bounds."""
        self._within = [sum(pair) for pair in zip(self._within, other._within, strict=True)]
        self.sum_s += other.sum_s

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


def metrics_page(metrics: Metrics) -> Response:
    return Response(200, render(metrics), {"Content-Type": CONTENT_TYPE})


def render(metrics: Metrics) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry)
