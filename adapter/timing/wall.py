"""The clock on the wall of a time zone: what it shows when, and when it is set. Pure.

Times are whole seconds since the epoch; what the wall clock shows is a datetime without time zone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- of the wall clock
_DAY_S = 86400  # a zone sets its clock at most once in this time; LONG=1 tests/unit/adapter/timing/test_cron_zones.py


class WallClock:
    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def shows(self, at: int) -> datetime:
        return _EPOCH + timedelta(seconds=at + self.offset(at))

    def offset(self, at: int) -> int:
        """How far it is ahead of UTC, in seconds."""
        offset = datetime.fromtimestamp(at, self.zone).utcoffset()
        assert offset is not None
        return round(offset.total_seconds())

    def time_of(self, wall: datetime, offset: int) -> int:
        """When it shows ``wall`` while it is ``offset`` ahead of UTC."""
        return round((wall - _EPOCH).total_seconds()) - offset

    def reaches(self, wall: datetime) -> int:
        """When it first shows ``wall`` or a later time: if it skips ``wall``, when it is set forward."""
        first, second = (round(wall.replace(tzinfo=self.zone, fold=fold).timestamp()) for fold in (0, 1))
        if self.shows(first) == wall:
            return first
        return self.change(second, first) or first

    def furthest(self, at: int) -> datetime:
        """The latest time that it has shown until ``at``: while it repeats an hour, the end of that hour."""
        local = datetime.fromtimestamp(at, self.zone)
        first, second = local.replace(fold=0).utcoffset(), local.utcoffset()
        assert first is not None
        assert second is not None
        return local.replace(tzinfo=None, fold=0) + (first - second)

    def change(self, after: int, until: int) -> int | None:
        """When it is first set, after ``after`` and not after ``until``."""
        low, offset = after, self.offset(after)
        while low < until:
            high = min(low + _DAY_S, until)
            if self.offset(high) != offset:
                return self._change_between(low, high)
            low = high
        return None

    def last_change(self, after: int, until: int) -> int | None:
        """When it was last set, after ``after`` and not after ``until``."""
        high, offset = until, self.offset(until)
        while high > after:
            low = max(high - _DAY_S, after)
            if self.offset(low) != offset:
                return self._change_between(low, high)
            high = low
        return None

    def _change_between(self, low: int, high: int) -> int:
        offset = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.offset(middle) == offset else (low, middle)
        return high
