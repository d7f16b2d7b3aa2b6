"""The series of the hook's metrics page."""

from __future__ import annotations

from adapter.serving.health import metrics_page
from hooks.serving.metrics import HookMetrics


def counted(metrics: HookMetrics, name: str) -> dict[str, float]:
    """Labels -> value of the series of one metric that are not zero."""
    lines = metrics_page(metrics).body.decode().splitlines()
    series = (line.removeprefix(name + "{").split("} ") for line in lines if line.startswith(name + "{"))
    return {labels: float(value) for labels, value in series if float(value)}
