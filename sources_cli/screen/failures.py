"""Failures that adapters log, for the output of ``sources run``: one line for each cause, and a count at the end."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from adapter.contract.formats import Json

SHOWN_OTHERWISE = ("the source failed", "not ready: no event is accepted", "sync rejected")  # in a row, or as a crash


class Failures:
    """Counts the failures of each source."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}  # namespace/name -> message -> how often

    def shown(self, line: str) -> str | None:
        """What to show of a line of a log; None if it is about no failure, or only counts more of one that was shown.

        An adapter logs a cause at once, then at most once a minute with a count. A line with ``last_at`` holds the rest
        of the count: the cause has ended, or the adapter stops.
        """
        entry = _entry(line)
        text = failure_text(entry)
        if text is None:
            return None
        count = int(entry.get("count", 1))
        source = f"{entry.get('namespace')}/{entry.get('name')}"
        self._counts.setdefault(source, Counter())[str(entry.get("msg"))] += count
        if "last_at" in entry:
            return None
        return f"{text} ({count} times)" if count > 1 else text

    def repeated(self, source: str) -> str:
        """``request failed (3 times)``: the failures of a source that came more than once. Empty if there is none."""
        counts = self._counts.get(source, Counter[str]())
        return ", ".join(f"{message} ({count} times)" for message, count in counts.items() if count > 1)


def failure_text(entry: dict[str, Any]) -> str | None:
    """A sentence about a failed poll, delivery or ``receive()``, a failed task, or blocking code; else None."""
    if entry.get("level") not in ("warn", "error") or entry.get("msg") in SHOWN_OTHERWISE:
        return None
    at = f" at {entry['at']}" if entry.get("at") else ""
    what = f"{entry.get('name', 'hook')}: {entry.get('msg')}{at}"
    if "remedy" in entry:
        return f"{what}; {entry['remedy']}"
    cause = (at and entry.get("error")) or entry.get("reason") or entry.get("event_id")
    return f"{what}: {cause}" if cause else None


def _entry(line: str) -> dict[str, Json]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
