"""``sources run`` on a terminal: events scroll, and below them stands a table of the sources, drawn by rich."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from adapter.contract.durations import format_duration
from adapter.display import printable
from sources_cli.screen.plain import age_s, event_line, find_condition, ready_condition

Json = Any
DRAW_EVERY_S, TICK_EVERY_S = 0.25, 1.0
WIDE = 110  # columns from which kind and interval have room
OTHER_LINES = 6  # header, borders and the lines below the table
STYLES = {"True": "green", "False": "bold red", "Unknown": "yellow"}
CONDITIONS = ("SinkProvided", "Deployed")


class LiveScreen:
    """Draws at most four times a second, and only if something changed or a second has passed."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._sources: dict[str, tuple[Json, int]] = {}  # by kind and name: the source, its events
        self._changed = True
        self._drawing: asyncio.Task[None] | None = None
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self.render)

    def start(self) -> None:
        self._live.start()
        self._drawing = asyncio.create_task(self._draw())

    async def close(self) -> None:
        """The last state stays; the terminal is as it was."""
        if self._drawing:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)
        if self._live.is_started:
            self._live.refresh()
            self._live.stop()

    def row(self, source: Json, events: int) -> None:
        metadata = source["metadata"]
        self._sources[f"{source['kind']} {metadata['namespace']}/{metadata['name']}"] = (source, events)
        self._changed = True

    def event(self, name: str, event: Json) -> None:
        line = Text(event_line(name, event, datetime.now().astimezone()), no_wrap=True, overflow="ellipsis")
        self._console.print(line, highlight=False, soft_wrap=False)
        self._changed = True

    def say(self, line: str) -> None:
        if sys.stderr.isatty():
            self._console.print(Text(printable(line), style="yellow"), highlight=False)
        else:
            print(printable(line), file=sys.stderr, flush=True)

    def render(self) -> RenderableType:
        now, width = datetime.now(UTC), self._console.width
        fit = max(1, self._console.height - OTHER_LINES - min(len(self._sources), 3))
        # Those that need somebody come first where there is not room for all.
        listed = sorted(self._sources.values(), key=lambda it: _is_ready(it[0])) if len(self._sources) > fit else None
        shown = (listed or list(self._sources.values()))[:fit]
        table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
        for name, options in _columns(width):
            table.add_column(name, no_wrap=True, overflow="ellipsis", **options)
        for source, events in shown:
            table.add_row(*_cells(source, events, now, width))
        more = len(self._sources) - len(shown)
        return Group("", table, *_reasons(source for source, _ in shown), *([f"… and {more} more"] if more else []))

    async def _draw(self) -> None:
        waited = 0.0
        while True:
            if self._changed or waited >= TICK_EVERY_S:
                self._changed, waited = False, 0.0
                self._live.refresh()
            await asyncio.sleep(DRAW_EVERY_S)
            waited += DRAW_EVERY_S


def _columns(width: int) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "NAME", {"min_width": 6}
    if width >= WIDE:
        yield "KIND", {"style": "dim"}
    yield "READY", {"min_width": 7}
    for name in CONDITIONS:
        yield name.upper(), {"min_width": len(name)}
    yield "SINK", {"ratio": 1, "min_width": 8}
    if width >= WIDE:
        yield "INTERVAL", {}
    yield "EVENTS", {"justify": "right", "min_width": 6}
    yield "AGE", {"justify": "right", "min_width": 4}


def _cells(source: Json, events: int, now: datetime, width: int) -> Iterator[RenderableType]:
    status = source.get("status") or {}
    yield source["metadata"]["name"]
    if width >= WIDE:
        yield source["kind"]
    for name in ("Ready", *CONDITIONS):
        value = find_condition(status, name).get("status", "")
        yield Text(value, style=STYLES.get(value, ""))
    yield status.get("sinkUri", "")
    if width >= WIDE:
        yield str((source.get("spec") or {}).get("interval", ""))
    yield str(events)
    yield format_duration(age_s(source, now) * 1_000_000_000)


def _reasons(sources: Iterator[Json]) -> Iterator[RenderableType]:
    for source in sources:
        ready = ready_condition(source.get("status") or {})
        if ready.get("reason"):
            said = f"{source['metadata']['name']}: {ready['reason']}: {ready.get('message', '')}"
            # What needs somebody may take a second line, what only takes time not.
            if ready["status"] == "False":
                yield Text(said, style="red")
            else:
                yield Text(said, style="dim", no_wrap=True, overflow="ellipsis")


def _is_ready(source: Json) -> bool:
    return ready_condition(source.get("status") or {}).get("status") == "True"
