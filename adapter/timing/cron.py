"""Ticks at the times of a cron expression in a time zone. Pure.

cronsim reads the expression and finds the times on the wall clock. The rules for a clock that is set are those of
Vixie cron (the manual page cron(8) of Debian): an expression with fixed times, whose fields minute and hour do not
begin with ``*``, runs once for each time, at once if the clock skips it. Others run whenever the clock shows one of
their times.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import cast
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from adapter.contract.formats import Json
from adapter.timing.wall import WallClock

_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_S = 1_000_000_000
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)
_SEARCH_FROM = datetime(2000, 1, 1)  # noqa: DTZ001 -- of the wall clock


class Expression:
    """A cron expression with 5 fields, or 6 with seconds in front. ``ValueError`` if it is invalid or never matches.

    Both iterators give wall clock times, and end after 50 years without one.
    """

    def __init__(self, text: str) -> None:
        fields = _NAMES.get(text, text)
        if fields.startswith("@"):
            raise ValueError(f'"{text}" is not known; write five fields, or one of {", ".join(_NAMES)}')
        try:
            self._forward = CronSim(fields, _SEARCH_FROM)
            self._backward = CronSim(fields, _SEARCH_FROM, reverse=True)
        except CronSimError as error:
            raise ValueError(
                f'"{text}" is not a cron expression: {str(error).lower()}; write one like {_EXAMPLE}'
            ) from None
        self.is_fixed = not any(field.startswith("*") for field in self._forward.parts[1:3])
        if next(self.after(_SEARCH_FROM), None) is None:
            raise ValueError(f'"{text}" matches no date; write days that exist, like {_EXAMPLE}')

    def after(self, wall: datetime) -> Iterator[datetime]:
        return _starting(self._forward, wall)

    def before(self, wall: datetime) -> Iterator[datetime]:
        return _starting(self._backward, wall)

    def count(self, day: date, until: int) -> int:
        """How many times of a day are at most ``until`` seconds after its begin, if the clock is not set on it."""
        cron = self._forward
        if day.month not in cron.months or not cron.match_day(day):
            return 0
        hour, minute, second = until // 3600, until // 60 % 60, until % 60
        in_minute = sum(each <= second for each in cron.seconds) if minute in cron.minutes else 0
        in_hour = sum(each < minute for each in cron.minutes) * len(cron.seconds) + in_minute
        before = sum(each < hour for each in cron.hours) * len(cron.minutes) * len(cron.seconds)
        return before + (in_hour if hour in cron.hours else 0)


_EXAMPLE = '"0 9 * * MON-FRI"'


def _starting(template: CronSim, wall: datetime) -> Iterator[datetime]:
    cron = copy.copy(template)
    cron.dt = wall
    return cast("Iterator[datetime]", cron)


@dataclass(frozen=True)
class Cron:
    """``exclude``: dates in the zone on which there is no tick. ``since``: the time of the first possible tick.

    A tick is ``delay`` nanoseconds after its scheduled time.
    """

    expression: Expression
    zone: ZoneInfo
    exclude: frozenset[date] = frozenset()
    delay: int = 0
    since: int = 0
    key: Json = None

    def scheduled(self, due: int) -> datetime:
        """The scheduled time of a tick, in the time zone."""
        return datetime.fromtimestamp((due - self.delay) // _S, self.zone)

    def next(self, after: int) -> int | None:
        return self._due(self._next(self._second(max(after, self.since - 1))))

    def latest(self, at: int) -> int | None:
        second = self._latest(self._second(at))
        return None if second is None else self._due(second)

    def count(self, after: int, until: int) -> int:
        start, end = self._second(max(after, self.since - 1)), self._second(until)
        return sum(self._count_on(day, start, end) for day in self._days(start, end))

    def last(self, n: int, after: int, until: int) -> int | None:
        counted = self.count(after, until)
        if counted <= n:
            return self.next(after) if counted else None
        second = self._second(until) + 1
        for _ in range(n):
            second = self._latest(second - 1) or second
        return self._due(second)

    def _second(self, ns: int) -> int:
        return (ns - self.delay) // _S

    def _due(self, second: int | None) -> int | None:
        return None if second is None else second * _S + self.delay

    @cached_property
    def _wall(self) -> WallClock:
        return WallClock(self.zone)

    def _next(self, after: int) -> int | None:
        find = self._next_fixed if self.expression.is_fixed else self._next_shown
        while (found := find(after)) is not None and (day := self._wall.shows(found).date()) in self.exclude:
            after = max(found, self._begin(day + _DAY) - 1)
        return found

    def _latest(self, at: int) -> int | None:
        find = self._latest_fixed if self.expression.is_fixed else self._latest_shown
        while (found := find(at)) is not None and (day := self._wall.shows(found).date()) in self.exclude:
            begin = self._begin(day)
            at = (self._wall.last_change(begin, found) or begin) - 1
        return found

    def _next_fixed(self, after: int) -> int | None:
        walls = self.expression.after(self._wall.shows(after))
        return next((second for second in map(self._wall.reaches, walls) if second > after), None)

    def _latest_fixed(self, at: int) -> int | None:
        walls = self.expression.before(self._wall.furthest(at) + _SECOND)
        seconds = (second for second in map(self._wall.reaches, walls) if second <= at)
        return self._since(next(seconds, None))

    def _next_shown(self, after: int) -> int | None:
        start = self._wall.shows(after)
        while (wall := next(self.expression.after(start), None)) is not None:
            found = self._wall.time_of(wall, self._wall.offset(after))
            change = self._wall.change(after, found)
            if change is None:
                return found
            after, start = change, self._wall.shows(change) - _SECOND
        return None

    def _latest_shown(self, at: int) -> int | None:
        while (wall := next(self.expression.before(self._wall.shows(at) + _SECOND), None)) is not None:
            found = self._wall.time_of(wall, self._wall.offset(at))
            change = self._wall.last_change(max(found, self._second(self.since) - 1), at)
            if change is None:
                return self._since(found)
            at = change - 1
        return None

    def _since(self, second: int | None) -> int | None:
        return None if second is None or second * _S + self.delay < self.since else second

    def _begin(self, day: date) -> int:
        return self._wall.reaches(datetime.combine(day, time()))

    def _days(self, start: int, end: int) -> Iterator[date]:
        day, last = self._wall.shows(start).date(), self._wall.furthest(end).date()
        return (day + n * _DAY for n in range((last - day).days + 1))

    def _count_on(self, day: date, start: int, end: int) -> int:
        """How many ticks are after ``start`` and not after ``end``, from the begin of a day to that of the next one."""
        begin, after = self._begin(day), self._begin(day + _DAY)
        start, end = max(start, begin - 1), min(end, after - 1)
        if start >= end:
            return 0
        if self._wall.change(begin - 1, after) is None:
            if day in self.exclude:
                return 0
            return self.expression.count(day, end - begin) - (
                self.expression.count(day, start - begin) if start >= begin else 0
            )
        found, count = self._next(start), 0
        while found is not None and found <= end:
            found, count = self._next(found), count + 1
        return count
