"""An explanation as text for people, and as JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from adapter.contract.formats import Json, format_time
from sources_cli.cluster.diagnosis import Explanation
from sources_cli.cluster.finding import Finding, Snapshot, condition, seconds_since
from sources_cli.screen import stdout

_MARKS = {"ok": "✓", "problem": "✗", "unknown": "?"}
_PLAIN_MARKS = {"ok": "+", "problem": "x", "unknown": "?"}


def show(snapshot: Snapshot, explanation: Explanation) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in lines(snapshot, explanation, width=width, marks=_marks(sys.stdout.encoding)):
        stdout.show(line)


def _marks(encoding: str | None) -> dict[str, str]:
    try:
        "".join(_MARKS.values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_MARKS
    return _MARKS


def lines(
    snapshot: Snapshot, explanation: Explanation, *, width: int = 0, marks: dict[str, str] = _MARKS
) -> Iterator[str]:
    """``width``: of the terminal, in columns; 0 keeps each text on one line. Commands are never broken."""
    for link in explanation.chain:
        yield from _wrapped(f"{marks[link.state]} {link.step.value:<10}  ", link.text, width)
    for finding in explanation.findings:
        yield ""
        yield from _finding(finding, snapshot.now, width)
    if not explanation.findings:
        yield ""
        yield from _wrapped("", _healthy(explanation), width)
    if explanation.notes:
        yield ""
        yield "Not known:"
        for note in explanation.notes:
            yield from _wrapped("  ", note, width)


def _healthy(explanation: Explanation) -> str:
    checked = ", ".join(link.step.value for link in explanation.chain if link.state == "ok")
    last = explanation.last_delivered
    delivered = (
        f"The sink last accepted an event at {last}." if last else "It is not known when an event was delivered."
    )
    return f"Nothing is wrong. Checked: {checked}. {delivered}"


def _finding(finding: Finding, now: datetime, width: int) -> Iterator[str]:
    yield from _wrapped("", f"{finding.reason}: {finding.message}", width)
    if finding.since:
        yield f"  since  {finding.since}{_ago(finding.since, now)}"
    yield from _wrapped("  do     ", finding.todo, width)
    if finding.command:
        yield f"  run    {finding.command}"
    yield f"  see    {finding.docs}"


def _ago(time: str, now: datetime) -> str:
    age_s = seconds_since(time, now)
    return "" if age_s is None or age_s < 0 else f" ({short_age(age_s)} ago)"


def short_age(seconds: float) -> str:
    """As kubectl shows ages, such as ``90s``, ``5m``, ``3h``, ``4d``."""
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * unit_s:
            return f"{int(seconds // unit_s)}{unit}"
    return f"{int(seconds)}s"


def _wrapped(start: str, text: str, width: int) -> list[str]:
    line = " ".join(text.split())
    if not width:
        return [f"{start}{line}"]
    room = max(width - 1, len(start) + 20)
    indent = " " * (len(start) or 2)
    return textwrap.wrap(
        line, room, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [start]


def as_json(snapshot: Snapshot, explanation: Explanation) -> Json:
    """The documented shape: docs/explain.md."""
    meta = snapshot.source["metadata"]
    return {
        "kind": snapshot.kind.kind,
        "apiVersion": snapshot.kind.api_version,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "checkedAt": format_time(snapshot.now),
        "healthy": not explanation.findings,
        "ready": condition(snapshot.status, "Ready").get("status", ""),
        "lastDelivered": explanation.last_delivered or None,
        "findings": [asdict(finding) for finding in explanation.findings],
        "chain": [asdict(link) for link in explanation.chain],
        "notes": list(explanation.notes),
    }


def show_json(value: Json) -> None:
    stdout.show_json(json.dumps(value, ensure_ascii=False))


def cut(table: list[list[str]], widths: list[int]) -> Iterator[str]:
    """The rows of a table. The last column is as long as the terminal allows; in a pipe, it is not cut."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for cells in table:
        start = "".join(f"{cell:<{size + 3}}" for cell, size in zip(cells, widths, strict=False))
        line = f"{start}{' '.join(cells[-1].split())}".rstrip()
        yield line if not width or len(line) < width else f"{line[: width - 1]}…"
