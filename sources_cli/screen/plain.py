"""What ``sources run`` shows: plain lines, one per change of a source and one per event; for files, pipes and CI."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from adapter.contract.durations import format_duration
from adapter.display import dead_letter_note, printable

Json = Any
SINK_WIDTH = 40
_NUMBER = re.compile(r"\d+")
_ROW = "{:<{name}}  {:<{kind}}  {:<7}  {:<19}  {:<{sink}}  {:>6}  {}"


class Screen(Protocol):
    """Where the news of sources goes."""

    def start(self) -> None: ...

    async def close(self) -> None: ...

    def row(self, source: Json, events: int) -> None:
        """The source as it is now, and how many events of it arrived."""

    def event(self, name: str, event: Json) -> None: ...

    def say(self, line: str) -> None:
        """What is not about one source's status: a crash, a log line."""


class PlainScreen:
    def __init__(self, sources: Sequence[Json]) -> None:
        self._table = Table(sources)
        self._shown: dict[str, Json] = {}  # uid -> what its last row said

    def start(self) -> None:
        print(self._table.header(), flush=True)

    async def close(self) -> None:
        pass

    def row(self, source: Json, events: int) -> None:
        status = source.get("status") or {}
        ready = ready_condition(status)
        shown = ready.get("message", "") if ready.get("status") == "False" else ""
        message = _NUMBER.sub("#", shown)  # a count that grows is no news
        news = (ready.get("status"), ready.get("reason"), message, status.get("sinkUri"))
        if self._shown.get(source["metadata"]["uid"]) != news:
            self._shown[source["metadata"]["uid"]] = news
            print(self._table.row(source, events, datetime.now(UTC)), flush=True)

    def event(self, name: str, event: Json) -> None:
        print(event_line(name, event, datetime.now().astimezone()), flush=True)

    def say(self, line: str) -> None:
        print(printable(line), file=sys.stderr, flush=True)


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


def event_line(name: str, event: Json, now: datetime) -> str:
    data = json.dumps(event.get("data", event.get("data_base64")), ensure_ascii=False)
    return printable(f"{now:%H:%M:%S}  {name}  {event['type']}  {data}{dead_letter_note(event)}")


def trouble(line: str) -> str | None:
    """What an adapter's log line says of a delivery that went wrong; None for any other line."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("level") not in ("warn", "error") or "event_id" not in said:
        return None
    count = f" ({said['count']} times)" if said.get("count", 1) > 1 else ""
    return f"{said.get('name')}: {said.get('msg')}: {said.get('reason') or said['event_id']}{count}"


def ready_condition(status: Json) -> dict[str, str]:
    return find_condition(status, "Ready")


def find_condition(status: Json, type: str) -> dict[str, str]:
    return next((it for it in status.get("conditions", []) if it["type"] == type), {})


def age_s(source: Json, now: datetime) -> int:
    created = datetime.fromisoformat(source["metadata"]["creationTimestamp"])
    return max(0, int((now - created).total_seconds()))


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
