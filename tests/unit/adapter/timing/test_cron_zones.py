"""The ticks of a cron expression while the clock of a time zone is set, against an oracle that looks at each minute.

The long form (``LONG=1``) takes every zone and every change of 2000 to 2037.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from adapter.timing.cron import Cron, Expression
from adapter.timing.times import to_ns, to_time

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EVERY = range(60)
LONG = bool(os.environ.get("LONG"))


@dataclass(frozen=True)
class Times:
    """A text for cron, and what it means."""

    text: str
    minutes: range | tuple[int, ...]
    hours: range | tuple[int, ...]
    is_fixed: bool

    def match(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours


EXPRESSIONS = [
    Times("30 2 * * *", (30,), (2,), True),
    Times("0 0 * * *", (0,), (0,), True),
    Times("15,45 0-3 * * *", (15, 45), range(4), True),
    Times("0-59/7 0-23 * * *", range(0, 60, 7), range(24), True),
    Times("0 12 * * *", (0,), (12,), True),
    Times("*/15 * * * *", range(0, 60, 15), range(24), False),
    Times("30 * * * *", (30,), range(24), False),
    Times("*/20 2 * * *", range(0, 60, 20), (2,), False),
    Times("5 */2 * * *", (5,), range(0, 24, 2), False),
    Times("* 0,1 * * *", EVERY, (0, 1), False),
]
PLACES = {  # what is special about it
    "Europe/Berlin": "sets its clock at 1:00 UTC",
    "America/New_York": "sets its clock at 2:00 local time",
    "America/St_Johns": "set its clock at 0:01 until 2011",
    "America/Sao_Paulo": "skipped midnight until 2018",
    "Australia/Lord_Howe": "sets its clock by 30 minutes",
    "Africa/Casablanca": "sets its clock for Ramadan",
    "Antarctica/Troll": "sets its clock by 2 hours",
    "Pacific/Apia": "skipped December 30, 2011",
    "Asia/Kathmandu": "is 5:45 ahead of UTC",
    "UTC": "never sets its clock",
}


def changes(zone: ZoneInfo, first: int = 2000, last: int = 2037) -> Iterator[datetime]:
    """The hours in UTC in which the zone sets its clock."""
    at, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    while at < end:
        if at.astimezone(zone).utcoffset() != (at + DAY).astimezone(zone).utcoffset():
            yield next(
                hour
                for hour in (at + n * HOUR for n in range(24))
                if hour.astimezone(zone).utcoffset() != (hour + HOUR).astimezone(zone).utcoffset()
            )
        at += DAY


def expected(times: Times, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """All ticks after ``begin``, until ``end``.

    A fixed time runs when the clock first reaches it, also by a jump; others run whenever it shows them.
    """
    found, at = list[datetime](), begin - 2 * DAY
    furthest = at.astimezone(zone).replace(tzinfo=None, fold=0)
    while at <= end:
        wall = at.astimezone(zone).replace(tzinfo=None, fold=0)
        reached = [wall - n * MINUTE for n in range((wall - furthest) // MINUTE)] if times.is_fixed else [wall]
        found += [at] if at > begin and any(map(times.match, reached)) else []
        furthest, at = max(furthest, wall), at + MINUTE
    return found


def check(times: Times, zone: ZoneInfo, change: datetime) -> None:
    begin, end = change - 26 * HOUR, change + 50 * HOUR
    cron, start, stop = Cron(Expression(times.text), zone), to_ns(begin), to_ns(end)
    ticks = list(map(to_ns, expected(times, zone, begin, end)))
    context = f"{times.text} in {zone.key} about {change}"
    assert list(forward(cron, start, stop)) == ticks, context
    assert list(backward(cron, start, stop)) == ticks[::-1], context
    for at in range(to_ns(change - 3 * HOUR), to_ns(change + 5 * HOUR), 10 * 60 * 10**9 + 1):
        n = bisect_right(ticks, at)
        assert n == len(ticks) or cron.next(at) == ticks[n], context
        assert n == 0 or cron.latest(at) == ticks[n - 1], context
    middle = to_ns(change + HOUR)
    assert cron.count(start, stop) == len(ticks), context
    assert cron.count(start, middle) == sum(tick <= middle for tick in ticks), context
    assert cron.count(middle, stop) == sum(tick > middle for tick in ticks), context
    for n in {1, len(ticks) // 2, len(ticks)} - {0}:
        assert cron.last(n, start, stop) == ticks[-n], context


def forward(cron: Cron, at: int, end: int) -> Iterator[int]:
    while (found := cron.next(at)) is not None and found <= end:
        yield (at := found)


def backward(cron: Cron, start: int, at: int) -> Iterator[int]:
    while (found := cron.latest(at)) is not None and found > start:
        yield found
        at = found - 1


@pytest.mark.parametrize("name", PLACES)
def test_ticks_about_changes_of_the_clock(name: str) -> None:
    zone = ZoneInfo(name)
    of_zone = [*changes(zone, 2010, 2012), *changes(zone, 2024, 2026)] or [datetime(2025, 3, 30, 1, tzinfo=UTC)]
    for change, times in zip(of_zone, cycle(EXPRESSIONS), strict=False):
        check(times, zone, change)


@pytest.mark.parametrize("times", EXPRESSIONS, ids=lambda times: times.text)
@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC), id="berlin-skips-2-to-3"),
        pytest.param("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), id="berlin-repeats-2-to-3"),
        pytest.param("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC), id="lord-howe-repeats-30-minutes"),
        pytest.param("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC), id="sao-paulo-skips-midnight"),
        pytest.param("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC), id="apia-skips-a-day"),
    ],
)
def test_each_kind_of_expression_about_a_change(times: Times, name: str, change: datetime) -> None:
    check(times, ZoneInfo(name), change)


@pytest.mark.skipif(not LONG, reason="takes minutes; runs with LONG=1")
@pytest.mark.timeout(3600)
def test_ticks_about_every_change_of_every_zone() -> None:
    seen, expressions = set(), cycle(EXPRESSIONS)
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        zone = ZoneInfo(name)
        for change in changes(zone):
            offsets = tuple((change + n * DAY).astimezone(zone).utcoffset() for n in (-1, 1))
            if (change, offsets) not in seen:
                seen.add((change, offsets))
                check(next(expressions), zone, change)
    assert len(seen) > 1000


@pytest.mark.skipif(not LONG, reason="takes minutes; runs with LONG=1")
@pytest.mark.timeout(3600)
def test_no_zone_sets_its_clock_twice_within_a_day() -> None:
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        zone = ZoneInfo(name)
        for change in changes(zone):
            hours = [(change + n * HOUR).astimezone(zone).utcoffset() for n in range(-24, 26)]
            assert sum(a != b for a, b in pairwise(hours)) == 1, (name, to_time(to_ns(change)))
