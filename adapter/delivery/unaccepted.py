"""Since when no event was accepted, and why. Readiness, logs and metrics show it. There is no timer: the age of the
failure is computed at each question.

A reason shows the first line of the sink's response, but no secret and no data of the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from adapter.contract.formats import format_time
from adapter.serving.failures import without, without_secrets

LINE_LENGTH = 200  # characters shown of a response
SEARCHED_DATA = 64 * 1024  # bytes; nothing is shown of the response to a longer event: the search would take too long


class Unaccepted:
    """The failures since the last accepted event.

    ``limit_s``: how long they may last. ``monotonic``, in seconds, measures this time. ``now`` is the time for people.
    """

    def __init__(self, now: Callable[[], datetime], monotonic: Callable[[], float], limit_s: float) -> None:
        self.since: datetime | None = None  # the first failure
        self.count = 0
        self.reason = ""  # of the last failure
        self._now = now
        self._monotonic = monotonic
        self._limit_s = limit_s
        self._first_s = 0.0

    def add(self, reason: str) -> None:
        if self.since is None:
            self.since, self._first_s = self._now(), self._monotonic()
        self.count += 1
        self.reason = reason

    def clear(self) -> None:
        self.since, self.count, self.reason = None, 0, ""

    @property
    def since_text(self) -> str:
        """RFC 3339; empty if there is no failure."""
        return format_time(self.since) if self.since else ""

    @property
    def problem(self) -> str:
        """Since when and why, without the number of failures."""
        return f"the sink has accepted no event since {self.since_text}; the last failure: {self.reason}"

    @property
    def too_long(self) -> str | None:
        """Why the source is not ready: a sentence if the first failure was ``limit_s`` ago or earlier, else None."""
        if self.since is None or self._monotonic() - self._first_s < self._limit_s:
            return None
        failures = f"{self.count} failure{'s' if self.count > 1 else ''} since {self.since_text}"
        return f"no event is accepted: {failures}; the last one: {self.reason}"


def first_line(body: bytes, data: bytes, secrets: Iterable[str]) -> str:
    """The first line of a response, for people; empty if it is not printable. ``data`` is the data of the event."""
    if len(data) > SEARCHED_DATA:
        return ""
    lines = (" ".join(line.split()) for line in body.decode("utf-8-sig", "replace").splitlines())
    line = next(filter(None, lines), "")
    if not line.isprintable():
        return ""
    line = without_secrets(line[: 2 * LINE_LENGTH], secrets)  # before the cut, which could leave a part of a secret
    line = without(line, [data.decode("utf-8", "replace")], "(event data)")
    return line if len(line) <= LINE_LENGTH else line[: LINE_LENGTH - 1] + "…"
