"""Kubernetes Events: their times, and those of several objects in one order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapter.contract.formats import Json
from hooks.names import get_in
from sources_cli.cluster.finding import object_in, text_in


@dataclass(frozen=True)
class Line:
    """Equal events of one object. Times are RFC 3339."""

    first: str
    last: str
    count: int
    type: str
    object: str  # Kind/name
    reason: str
    message: str


def first_time(event: Json) -> str:
    return _first(event.get("firstTimestamp"), event.get("eventTime"), _created(event))


def last_time(event: Json) -> str:
    series = get_in(event, "series", "lastObservedTime")
    return _first(series, event.get("lastTimestamp"), event.get("eventTime"), _created(event))


def lines(events: Iterable[Json]) -> list[Line]:
    """One line for equal events, in the order of their last time."""
    merged: dict[tuple[str, ...], Line] = {}
    for event in events:
        of = object_in(event, "involvedObject")
        line = Line(
            first_time(event),
            last_time(event),
            next(filter(_is_count, (get_in(event, "series", "count"), event.get("count"))), 1),
            str(event.get("type") or ""),
            f"{of.get('kind')}/{of.get('name')}",
            str(event.get("reason") or ""),
            " ".join(text_in(event, "message").split()),
        )
        key = (line.object, line.type, line.reason, line.message)
        merged[key] = _sum(merged[key], line) if key in merged else line
    return sorted(merged.values(), key=lambda line: (line.last, line.first))


def _sum(one: Line, other: Line) -> Line:
    first, last = min(one.first, other.first), max(one.last, other.last)
    return Line(first, last, one.count + other.count, one.type, one.object, one.reason, one.message)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and value > 0


def _created(event: Json) -> Json:
    return get_in(event, "metadata", "creationTimestamp")


def _first(*times: Json) -> str:
    """The first time that is set, in whole seconds."""
    text = next((time for time in times if isinstance(time, str) and time), "")
    return f"{text[:19]}Z" if len(text) >= 20 else text
