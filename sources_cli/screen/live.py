"""The output of ``sources run`` on a terminal: events scroll above a table of the sources, drawn by rich."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from adapter.contract.durations import format_duration
from adapter.contract.formats import Json, printable
from sources_cli.screen import stdout
from sources_cli.screen.plain import Supervise, age_s, event_line, find_condition, page_line, ready_condition

DRAW_EVERY_S, TICK_EVERY_S = 0.25, 1.0
WIDE = 110  # a terminal with at least this many columns also shows KIND and INTERVAL
MAX_PROBLEMS = 3  # in the files that are shown at once
MAX_URLS = 3  # of displays and of sources that listen, below the table
OTHER_LINES = 6  # header, borders and the lines below the table
STYLES = {"True": "green", "False": "bold red", "Unknown": "yellow"}
CONDITIONS = ("SinkProvided", "Deployed")


class LiveScreen:
    """Draws at most four times per second, after a change; without changes, once per second."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._sources: dict[str, tuple[Json, int]] = {}  # kind and name -> the source, the number of its events
        self._problems: Sequence[str] = ()
        self._urls: dict[str, str] = {}  # display, or kind and name of a source that listens -> the line with its URL
        self._changed = True
        self._drawing: asyncio.Task[None] | None = None
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self.render)

    def start(self, supervise: Supervise) -> None:
        self._live.start()
        self._drawing = asyncio.create_task(self._draw())
        supervise(self._drawing)

    async def close(self) -> None:
        """Draws the last state and restores the terminal."""
        if self._drawing:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)
        self._live.stop()

    def row(self, source: Json, events: int, url: str = "") -> None:
        metadata = source["metadata"]
        key = f"{source['kind']} {metadata['namespace']}/{metadata['name']}"
        self._sources[key] = (source, events)
        if url:
            self._urls[key] = f"{metadata['name']}: listens on {url}"
        self._changed = True

    def event(self, name: str, event: Json) -> None:
        line = _text(event_line(name, event, datetime.now().astimezone()), no_wrap=True, overflow="ellipsis")
        self._console.print(line, highlight=False, soft_wrap=False)
        self._changed = True

    def page(self, name: str, url: str) -> None:
        self._urls[name] = page_line(name, url)
        self._changed = True

    def message(self, line: str) -> None:
        if sys.stderr.isatty():
            self._console.print(_text(line, style="yellow"), highlight=False)
        else:
            stdout.complain(line)

    def problems(self, lines: Sequence[str]) -> None:
        self._problems = lines
        self._changed = True

    def render(self) -> RenderableType:
        now, width = datetime.now(UTC), self._console.width
        problems = list(_problem_lines(self._problems))
        urls = list(self._urls.values())[:MAX_URLS]
        max_rows = max(1, self._console.height - OTHER_LINES - min(len(self._sources), 3) - len(urls) - len(problems))
        rows = list(self._sources.values())
        if len(rows) > max_rows:  # failing sources first, because only the first rows are visible
            rows.sort(key=lambda row: _is_ready(row[0]))
        visible = rows[:max_rows]
        table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
        for name, options in _columns(width):
            table.add_column(name, no_wrap=True, overflow="ellipsis", **options)
        for source, events in visible:
            table.add_row(*_cells(source, events, now, width))
        more = [_text(f"… and {len(rows) - len(visible)} more")] if len(rows) > len(visible) else []
        return Group(Text(), table, *_reasons(source for source, _ in visible), *map(_text, urls), *more, *problems)

    async def _draw(self) -> None:
        waited = 0.0
        while True:
            if self._changed or waited >= TICK_EVERY_S:
                self._changed, waited = False, 0.0
                self._refresh()
            await asyncio.sleep(DRAW_EVERY_S)
            waited += DRAW_EVERY_S

    def _refresh(self) -> None:
        try:
            self._live.refresh()
        except Exception:
            with contextlib.suppress(Exception):  # it draws again, and restores the terminal
                self._live.stop()
            raise


def _text(line: str, **options: Any) -> Text:
    """Foreign text. rich would read the markup in a plain string, and show ``http://[fd00::1]:9/`` as ``http://:9/``."""
    return Text(printable(line), **options)


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


def _cells(source: Json, events: int, now: datetime, width: int) -> Iterator[Text]:
    status = source.get("status") or {}
    yield _text(source["metadata"]["name"])
    if width >= WIDE:
        yield _text(source["kind"])
    for name in ("Ready", *CONDITIONS):
        value = find_condition(status, name).get("status", "")
        yield _text(value, style=STYLES.get(value, ""))
    yield _text(status.get("sinkUri", ""))
    if width >= WIDE:
        yield _text(str((source.get("spec") or {}).get("interval", "")))
    yield _text(str(events))
    yield _text(format_duration(age_s(source, now) * 1_000_000_000))


def _reasons(sources: Iterator[Json]) -> Iterator[Text]:
    for source in sources:
        ready = ready_condition(source.get("status") or {})
        if ready.get("reason"):
            line = f"{source['metadata']['name']}: {ready['reason']}: {ready.get('message', '')}"
            if ready["status"] == "False":
                yield _text(line, style="red")  # a failure may wrap
            else:
                yield _text(line, style="dim", no_wrap=True, overflow="ellipsis")  # progress stays on one line


def _problem_lines(problems: Sequence[str]) -> Iterator[Text]:
    for problem in problems[:MAX_PROBLEMS]:
        yield _text(problem, style="red")
    if len(problems) > MAX_PROBLEMS:
        yield _text(f"… and {len(problems) - MAX_PROBLEMS} more problems in the files")


def _is_ready(source: Json) -> bool:
    return ready_condition(source.get("status") or {}).get("status") == "True"
