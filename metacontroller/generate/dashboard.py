"""The Grafana dashboard: a row of panels for sources, one for the hook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 24  # columns of a dashboard
CHOSEN = 'namespace=~"$namespace",kind=~"$kind",name=~"$name"'
SOURCE = "namespace, kind, name"
LEGEND = "{{kind}} {{namespace}}/{{name}}"
RATE = "$__rate_interval"
LATENCY = "source_delivery_duration_seconds_bucket"
HOOK_LATENCY = "sources_hook_request_duration_seconds_bucket"
HOOK_PATHS = 'path=~"/sync|/customize"'
READY = f'kube_customresource_source_condition{{condition="Ready",status="True",{CHOSEN}}}'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
DATASOURCE_VARIABLE = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


@dataclass(frozen=True)
class Panel:
    """``queries``: PromQL and the legend of its series. ``type``: of Grafana. ``unit``: of Grafana."""

    title: str
    description: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    type: str = "timeseries"
    width: int = 8


def _quantiles(bucket: str, selector: str) -> list[tuple[str, str]]:
    rate = f"sum by (le) (rate({bucket}{{{selector}}}[{RATE}]))"
    return [(f"histogram_quantile({q}, {rate})", f"{q * 100:.0f} %") for q in (0.5, 0.95, 0.99)]


SOURCES = (
    Panel("Ready", "Sources that are ready.", [(f"sum({READY})", "ready")], type="stat", width=4),
    Panel("Not ready", "Sources that are not ready, suspended ones too.", [(f"count({READY} == 0) or vector(0)", "")],
          type="stat", width=4),
    Panel("Firing alerts", "Alerts about sources and the hook.",
          [('count by (alertname) (ALERTS{alertname=~"Sources?[A-Z].*",alertstate="firing"})', "{{alertname}}")],
          width=8),
    Panel("Readiness", "1: ready, 0: not ready.", [(f"max by ({SOURCE}) ({READY})", LEGEND)]),
    Panel("Events by outcome", "Events per second. lost: no sink accepted them.",
          [(f"sum by (outcome) (rate(source_events_total{{{CHOSEN}}}[{RATE}]))", "{{outcome}}")], "ops"),
    Panel("Failed attempts by code", "Attempts at the sink per second that it did not accept.",
          [(f'sum by (code) (rate(source_delivery_attempts_total{{code!~"2..",{CHOSEN}}}[{RATE}]))', "{{code}}")],
          "ops"),
    Panel("Sink failing since", "Time since the first failure after the last accepted event.",
          [(f"time() - max by ({SOURCE}) (source_failing_since_timestamp_seconds{{{CHOSEN}}} > 0)", LEGEND)], "s"),
    Panel("Duration of attempts", "Attempts at the sink by duration.",
          [(f"sum by (le) (increase({LATENCY}{{{CHOSEN}}}[{RATE}]))", "{{le}}")], "s", "heatmap"),
    Panel("Quantiles of the duration", "Duration of one attempt at the sink.", _quantiles(LATENCY, CHOSEN), "s"),
    Panel("Events in flight", "Events that are being delivered.",
          [(f"sum by ({SOURCE}) (source_in_flight{{{CHOSEN}}})", LEGEND)]),
    Panel("Polls by outcome", "Polls of upstreams per second.",
          [(f"sum by (outcome) (rate(source_polls_total{{{CHOSEN}}}[{RATE}]))", "{{outcome}}")], "ops"),
    Panel("Checkpoint age", "Time since the first change of a position that is not saved.",
          [(f"max by ({SOURCE}) (source_checkpoint_age_seconds{{{CHOSEN}}})", LEGEND)], "s"),
    Panel("Last accepted event", "Time since the sink last accepted an event.",
          [(f"time() - max by ({SOURCE}) (source_last_success_timestamp_seconds{{{CHOSEN}}} > 0)", LEGEND)], "s"),
)  # fmt: skip
HOOK = (
    Panel("Replicas", "Replicas of the hook that answer Prometheus.", [('sum(up{job="sources-hook"})', "")],
          type="stat", width=4),
    Panel("Config problems", "Files of the configuration that are invalid.",
          [("max(sources_hook_config_problems)", "")], type="stat", width=4),
    Panel("Requests by path", "Requests per second.",
          [(f"sum by (path) (rate(sources_hook_requests_total[{RATE}]))", "{{path}}")], "reqps"),
    Panel("Errors by code", "Responses per second with a 4xx or a 5xx.",
          [(f'sum by (code) (rate(sources_hook_requests_total{{code=~"[45].."}}[{RATE}]))', "{{code}}")], "reqps"),
    Panel("Duration of requests", "Duration of /sync and /customize.", _quantiles(HOOK_LATENCY, HOOK_PATHS), "s",
          width=12),
    Panel("Refused requests by reason", "Refusals per second.",
          [(f"sum by (reason) (rate(sources_hook_refused_total[{RATE}]))", "{{reason}}")], "reqps", width=12),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    for title, row in (("Sources", SOURCES), ("Hook", HOOK)):
        top = max((each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels), default=0)
        panels.append({"type": "row", "title": title, "collapsed": False, "gridPos": _place(0, top, WIDTH, 1)})
        panels.extend(_placed(row, top + 1))
    return {
        "title": "Sources",
        "uid": "sample-source",
        "tags": ["sample-source"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [DATASOURCE_VARIABLE, *_variables()]},
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, start=1)],
    }


def dashboard_json() -> str:
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def _variables() -> Iterator[dict[str, Any]]:
    """Each variable offers the values that fit the choice in the variables before it."""
    chosen = ""
    for name in ("namespace", "kind", "name"):
        query = f"label_values(source_build_info{{{chosen}}}, {name})"
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": name},
            "refresh": 2,  # when the time range changes
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        }
        chosen += f'{"," if chosen else ""}{name}=~"${name}"'


def _placed(row: Sequence[Panel], top: int, height: int = 8) -> Iterator[dict[str, Any]]:
    left = 0
    for panel in row:
        if left + panel.width > WIDTH:
            left, top = 0, top + height
        yield {**_panel(panel), "gridPos": _place(left, top, panel.width, height)}
        left += panel.width


def _place(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(panel: Panel) -> dict[str, Any]:
    is_heatmap = panel.type == "heatmap"
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "expr": expr,
            "legendFormat": legend,
            "format": "heatmap" if is_heatmap else "time_series",
        }
        for number, (expr, legend) in enumerate(panel.queries)
    ]
    # The buckets of a histogram are the rows of a heatmap, so the unit is that of its axis.
    options = {"calculate": False, "yAxis": {"unit": panel.unit}} if is_heatmap else {}
    return {
        "type": panel.type,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": targets,
    }
