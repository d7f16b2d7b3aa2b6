"""Properties of the schedule, for any creation time, interval and current time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from adapter.model.schedule import Schedule

moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds
intervals = st.integers(1_000_000, 400 * 24 * 3600 * 10**9)
schedules = st.builds(Schedule.of, st.text(max_size=8), moments, intervals)


@given(schedules, moments)
def test_next_tick_is_the_first_that_is_not_in_the_past(schedule: Schedule, now: datetime) -> None:
    n = schedule.next_at(now)
    assert schedule.due_ns(n) >= (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert n == 0 or schedule.due(n - 1) < now


@given(schedules, st.integers(0, 10**6))
def test_next_and_latest_tick_at_the_time_of_a_tick_are_that_tick(schedule: Schedule, n: int) -> None:
    if schedule.due_ns(n) < 2**62:
        assert schedule.next_at(schedule.due(n)) == n
        assert schedule.latest_at(schedule.due(n) + timedelta(microseconds=1)) == n


@given(st.text(max_size=8), moments, intervals)
def test_first_tick_is_less_than_an_interval_after_creation(uid: str, created: datetime, interval_ns: int) -> None:
    schedule = Schedule.of(uid, created, interval_ns)
    created_ns = (created - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert 0 <= schedule.first_ns - created_ns < interval_ns


@given(schedules, st.integers(0, 10**6))
def test_consecutive_ticks_have_different_event_ids(schedule: Schedule, n: int) -> None:
    assert schedule.due_ns(n) // 1_000_000 < schedule.due_ns(n + 1) // 1_000_000
