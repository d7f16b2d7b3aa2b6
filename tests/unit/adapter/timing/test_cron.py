"""Cron expressions: what they accept, and the ticks that ``exclude``, the creation and the jitter leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.timing.cron import Cron, Expression
from adapter.timing.times import to_ns, to_time

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def cron(text: str, zone: ZoneInfo = UTC_ZONE, *exclude: date, delay: int = 0, since: int = 0) -> Cron:
    return Cron(Expression(text), zone, frozenset(exclude), delay, since)


def first(cron: Cron, n: int, after: datetime = START) -> list[str]:
    at, found = to_ns(after), list[str]()
    for _ in range(n):
        at = cron.next(at) or 0
        found.append(cron.scheduled(at).strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        pytest.param("0 9 * * MON-FRI", ["2026-01-01 09:00", "2026-01-02 09:00", "2026-01-05 09:00"], id="names"),
        pytest.param("0 0 L * *", ["2026-01-31 00:00", "2026-02-28 00:00", "2026-03-31 00:00"], id="last-day"),
        pytest.param("0 0 * * 5L", ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-27 00:00"], id="last-friday"),
        pytest.param("0 0 1 * MON#1", ["2026-01-05 00:00", "2026-02-01 00:00", "2026-02-02 00:00"], id="either-day"),
        pytest.param("0 0 */10 * MON", ["2026-05-11 00:00", "2026-06-01 00:00", "2026-08-31 00:00"], id="both-days"),
        pytest.param("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"], id="leap-days"),
        pytest.param("@daily", ["2026-01-02 00:00", "2026-01-03 00:00", "2026-01-04 00:00"], id="alias"),
    ],
)
def test_expression_matches_these_dates(text: str, dates: list[str]) -> None:
    assert first(cron(text), 3) == dates


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 9 * *", "not a cron expression: wrong number of fields"),
        ("0 24 * * *", "bad hour"),
        ("0 9 * * MO", "bad day-of-week"),
        ("0 9 ? * *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 */31 2 1#5", "matches no date"),
        ("@every 5m", "is not known; write five fields, or one of @yearly"),
        ("@reboot", "is not known"),
        ("", "wrong number of fields"),
    ],
)
def test_invalid_expression_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as error:
        Expression(text)
    assert str(error.value).startswith(f'"{text}" ')


fields = st.text(st.sampled_from("0123456789*,-/#LWAN"), min_size=1, max_size=12)
wild = st.lists(fields, min_size=4, max_size=7).map(" ".join)
rare = st.builds(
    "{} {} {} {} {}".format,
    *[st.sampled_from(["0", "59", "*/59"])] * 2,
    st.sampled_from(["29", "30", "31", "*/29", "L", "LW", "29,30"]),
    st.sampled_from(["2", "*", "2,4", "*/6"]),
    st.sampled_from(["*", "1#5", "5L", "*/7", "MON", "*/6"]),
)


@given(wild | rare | st.text(max_size=40))
def test_any_text_is_an_expression_or_a_clear_error_in_short_time(text: str) -> None:
    begin, problem = time.process_time(), ""
    try:
        ticks = cron(text, BERLIN)
        at = ticks.next(to_ns(START))
        assert at is not None
        assert ticks.latest(at) == at
    except ValueError as error:
        problem = str(error)
    assert not problem or problem.startswith(f'"{text}"')
    assert time.process_time() - begin < 0.5


def test_excluded_dates_are_dates_of_the_zone() -> None:
    ticks = cron("30 0 * * *", BERLIN, date(2026, 1, 2), date(2026, 1, 3))
    assert first(ticks, 2, START - DAY) == ["2026-01-01 00:30", "2026-01-04 00:30"]
    assert ticks.latest(to_ns(START + 2 * DAY)) == to_ns(datetime(2025, 12, 31, 23, 30, tzinfo=UTC))
    assert ticks.count(to_ns(START - 2 * DAY), to_ns(START + 4 * DAY)) == 4


def test_year_of_excluded_dates_is_searched_in_short_time() -> None:
    year = [date(2026, 1, 1) + n * DAY for n in range(366)]
    begin = time.process_time()
    ticks = cron("* * * * *", BERLIN, *year)
    assert first(ticks, 1) == ["2027-01-02 00:00"]
    assert ticks.latest(to_ns(START + 365 * DAY)) == to_ns(datetime(2025, 12, 31, 22, 59, tzinfo=UTC))
    assert ticks.count(to_ns(START), to_ns(START + 365 * DAY)) == 0
    assert time.process_time() - begin < 2


def test_midnight_that_is_repeated_on_an_excluded_date_hides_no_tick_of_the_day_before() -> None:
    """In 2010, St. John's set its clock from 0:01 on November 7 back to 23:01 on November 6."""
    ticks = cron("*/30 * * * *", ZoneInfo("America/St_Johns"), date(2010, 11, 6))
    midnight = to_ns(datetime(2010, 11, 7, 2, 30, tzinfo=UTC))
    end = to_ns(datetime(2010, 11, 7, 5, tzinfo=UTC))
    found = [tick for tick in _all(ticks, midnight - 1, end) if tick < midnight + 3600 * 10**9]
    assert found == [midnight]
    assert ticks.latest(midnight + 3600 * 10**9 - 1) == midnight
    assert ticks.count(midnight - 1, end) == len(list(_all(ticks, midnight - 1, end)))


def test_delay_moves_each_tick_but_not_its_scheduled_time() -> None:
    delay = 90 * 10**9 + 7
    ticks = cron("0 * * * *", delay=delay)
    due = ticks.next(to_ns(START))
    assert due == to_ns(START) + delay
    assert ticks.scheduled(due) == START
    assert ticks.latest(due) == due
    assert ticks.latest(due - 1) == due - 3600 * 10**9
    assert ticks.count(due - 1, due) == 1


def test_no_tick_is_before_the_creation() -> None:
    for text in ("0 * * * *", "0 12 * * *"):
        ticks = cron(text, since=to_ns(START) + 1)
        first_due = ticks.next(0)
        assert first_due is not None
        assert to_time(first_due) > START
        assert ticks.latest(first_due - 1) is None
        assert ticks.count(0, first_due) == 1


@given(
    st.sampled_from(["* * * * *", "*/7 3-21 * * *", "5,50 2 * * MON", "0 0 1,15 * *", "13 */2 * * *", "30 2 * * *"]),
    st.sampled_from([UTC_ZONE, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- bounds
    st.integers(0, 4 * 86400),
    st.sets(st.dates(date(2025, 1, 1), date(2027, 1, 1)), max_size=3),
    st.integers(1, 20),
)
def test_count_and_last_agree_with_a_walk_from_tick_to_tick(
    text: str, zone: ZoneInfo, begin: datetime, seconds: int, exclude: set[date], n: int
) -> None:
    ticks, start, end = cron(text, zone, *exclude), to_ns(begin), to_ns(begin + timedelta(seconds=seconds))
    walked = list(_all(ticks, start, end))
    assert ticks.count(start, end) == len(walked)
    assert ticks.last(n, start, end) == (walked[-n:][0] if walked else None)


def _all(ticks: Cron, at: int, end: int) -> Iterator[int]:
    while (found := ticks.next(at)) is not None and found <= end:
        yield (at := found)
