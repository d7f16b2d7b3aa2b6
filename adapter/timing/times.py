"""When ticks are due. A tick is named by that time, in whole nanoseconds since the epoch. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from adapter.contract.formats import EPOCH, Json
from adapter.model.schedule import Schedule

_MICROSECOND = timedelta(microseconds=1)


class Times(Protocol):
    """The ticks of one worker."""

    @property
    def key(self) -> Json:
        """Equal for two schedules if all their ticks are."""

    def next(self, after: int) -> int | None:
        """The first tick after this time. None: there is none."""

    def latest(self, at: int) -> int | None:
        """The last tick at this time or before it. None: there is none."""

    def count(self, after: int, until: int) -> int:
        """How many ticks are due after ``after``, and at ``until`` or before it."""

    def last(self, n: int, after: int, until: int) -> int | None:
        """The first one of the last ``n`` ticks that :meth:`count` counts. None: it counts none."""


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks at ``first``, and then every ``step`` nanoseconds."""

    first: int
    step: int
    key: Json

    @classmethod
    def of(cls, schedule: Schedule, worker: int = 0, workers: int = 1) -> Every:
        """Every ``workers``-th tick of the schedule, beginning with tick ``worker``."""
        return cls(schedule.due_ns(worker), schedule.interval_ns * workers, schedule.interval_ns)

    def next(self, after: int) -> int:
        return self.first + (self._latest(after) + 1) * self.step

    def latest(self, at: int) -> int | None:
        n = self._latest(at)
        return None if n < 0 else self.first + n * self.step

    def count(self, after: int, until: int) -> int:
        return max(0, self._latest(until) - self._latest(after))

    def last(self, n: int, after: int, until: int) -> int | None:
        kept = min(n, self.count(after, until))
        return self.first + (self._latest(until) + 1 - kept) * self.step if kept else None

    def _latest(self, at: int) -> int:
        """The number of the last tick; -1 before the first."""
        return max(-1, (at - self.first) // self.step)


def to_ns(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND * 1000


def to_time(ns: int) -> datetime:
    """In UTC, rounded down to whole microseconds."""
    return EPOCH + timedelta(microseconds=ns // 1000)
