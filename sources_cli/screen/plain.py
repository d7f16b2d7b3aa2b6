"""The output of ``sources run`` to a file, a pipe or CI: one line per change of a source, and one per event."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from adapter.contract.durations import format_duration
from adapter.contract.formats import Json
from adapter.display.text import dead_letter_note
from sources_cli.screen import stdout

SINK_WIDTH = 40
REMIND_AFTER_LINES = 20
_NUMBER = re.compile(r"\d+")
_ROW = "{:<{name}}  {:<{kind}}  {:<7}  {:<19}  {:<{sink}}  {:>6}  {}"
Supervise = Callable[[asyncio.Future[Any]], None]


class Screen(Protocol):
    """Shows sources, events and messages to the user."""

    def start(self, supervise: Supervise) -> None:
        """``supervise`` gets the tasks that draw."""

    async def close(self) -> None: ...

    def row(self, source: Json, events: int, url: str = "") -> None:
        """Shows the current status of a source, how many of its events arrived, and the URL on which it listens."""

    def event(self, name: str, event: Json) -> None: ...

    def page(self, name: str, url: str) -> None:
        """Shows where the display ``name`` has its live page."""

    def message(self, line: str) -> None:
        """Shows anything else, such as a crash or a log line."""

    def problems(self, lines: Sequence[str]) -> None:
        """Shows what is wrong with the files, until the next call."""


class PlainScreen:
    def __init__(self, sources: Sequence[Json]) -> None:
        self._shown: dict[str, Json] = {}  # uid -> the content of its last row
        self._problems: Sequence[str] = ()
        self._lines_since = 0  # the problems were printed
        self._widths = {
            "name": max(6, *(len(source["metadata"]["name"]) for source in sources)),
            "kind": max(12, *(len(source["kind"]) for source in sources)),
            "sink": SINK_WIDTH,
        }

    def start(self, supervise: Supervise) -> None:
        self._print_row("NAME", "KIND", "READY", "REASON", "SINK", "EVENTS", "AGE")

    async def close(self) -> None:
        pass

    def row(self, source: Json, events: int, url: str = "") -> None:
        """A row like that of ``kubectl get``, after a change. A second line explains why a source is not ready."""
        metadata, status = source["metadata"], source.get("status") or {}
        ready, sink = ready_condition(status), status.get("sinkUri", "")
        message = ready.get("message", "") if ready.get("status") == "False" else ""
        without_numbers = _NUMBER.sub("#", message)  # so that a different number in the message prints no row
        content = (ready.get("status"), ready.get("reason"), without_numbers, sink)
        if self._shown.get(metadata["uid"]) == content:
            return
        self._shown[metadata["uid"]] = content
        age = format_duration(age_s(source, datetime.now(UTC)) * 1_000_000_000)
        condition = ready.get("status", ""), ready.get("reason", "")
        self._print_row(metadata["name"], source["kind"], *condition, shorten(sink, SINK_WIDTH), events, age)
        if message:
            self._print(f"        {message}")

    def event(self, name: str, event: Json) -> None:
        self._print(event_line(name, event, datetime.now().astimezone()))

    def page(self, name: str, url: str) -> None:
        self._print(page_line(name, url))

    def message(self, line: str) -> None:
        stdout.complain(line)
        self._count_line()

    def problems(self, lines: Sequence[str]) -> None:
        if self._problems and not lines:
            self.message("applied: the files are valid again")
        self._problems = lines
        self._print_problems()

    def _print_problems(self) -> None:
        for line in self._problems:
            stdout.complain(line)
        self._lines_since = 0

    def _print_row(self, *cells: object) -> None:
        self._print(_ROW.format(*cells, **self._widths))

    def _print(self, line: str) -> None:
        stdout.show(line)
        self._count_line()

    def _count_line(self) -> None:
        """Prints the problems again before they scroll off a terminal."""
        self._lines_since += 1
        if self._lines_since >= REMIND_AFTER_LINES:
            self._print_problems()


def event_line(name: str, event: Json, now: datetime) -> str:
    data = json.dumps(event.get("data", event.get("data_base64")), ensure_ascii=False)
    return f"{now:%H:%M:%S}  {name}  {event['type']}  {data}{dead_letter_note(event)}"


def page_line(name: str, url: str) -> str:
    return f"{name}: shows the events at {url}"


def ready_condition(status: Json) -> dict[str, str]:
    return find_condition(status, "Ready")


def find_condition(status: Json, type: str) -> dict[str, str]:
    return next((condition for condition in status.get("conditions", []) if condition["type"] == type), {})


def age_s(source: Json, now: datetime) -> int:
    created = datetime.fromisoformat(source["metadata"]["creationTimestamp"])
    return max(0, int((now - created).total_seconds()))


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
