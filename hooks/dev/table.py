"""Plain lines for a terminal or a file: one row per change of a source, one line per event. Pure but for ``now``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapter.durations import format_duration

Json = Any
SINK_WIDTH = 40
_ROW = "{:<{name}}  {:<{kind}}  {:<7}  {:<19}  {:<{sink}}  {:>6}  {}"


class Table:
    def __init__(self, sources: Sequence[Json]) -> None:
        self._widths = {
            "name": max(6, *(len(source["metadata"]["name"]) for source in sources)),
            "kind": max(12, *(len(source["kind"]) for source in sources)),
            "sink": SINK_WIDTH,
        }

    def header(self) -> str:
        return _ROW.format("NAME", "KIND", "READY", "REASON", "SINK", "EVENTS", "AGE", **self._widths)

    def row(self, source: Json, events: int, now: datetime) -> str:
        """What ``kubectl get`` would print; a source that is not ready says why on a second line."""
        status = source.get("status") or {}
        ready = ready_condition(status)
        sink = shorten(status.get("sinkUri", ""), SINK_WIDTH)
        age = format_duration(age_s(source, now) * 1_000_000_000)
        cells = (source["metadata"]["name"], source["kind"], ready.get("status", ""), ready.get("reason", ""), sink)
        row = _ROW.format(*cells, events, age, **self._widths)
        return f"{row}\n        {ready['message']}" if ready.get("status") == "False" else row

    def event(self, name: str, event: Json, now: datetime) -> str:
        data = json.dumps(event.get("data", event.get("data_base64")), ensure_ascii=False)
        return f"{now:%H:%M:%S}  {name}  {event['type']}  {data}"


def ready_condition(status: Json) -> dict[str, str]:
    return next((it for it in status.get("conditions", []) if it["type"] == "Ready"), {})


def age_s(source: Json, now: datetime) -> int:
    created = datetime.fromisoformat(source["metadata"]["creationTimestamp"])
    return max(0, int((now - created).total_seconds()))


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
