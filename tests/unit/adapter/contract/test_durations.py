"""Test vectors that were produced with Go's ``time.ParseDuration``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from adapter.contract.durations import Interval, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0", "0s"),
        ("+0", "0s"),
        ("-0", "0s"),
        ("10s", "10s"),
        ("300ms", "300ms"),
        ("-1.5h", "-1h30m0s"),
        ("2h45m", "2h45m0s"),
        ("90s", "1m30s"),
        ("1us", "1µs"),
        ("1µs", "1µs"),
        ("1\u03bcs", "1µs"),
        (".5s", "500ms"),
        ("5.s", "5s"),
        ("1h1h", "2h0m0s"),
        ("0.1ns", "0s"),
        ("1000ms", "1s"),
        ("9223372036854775807ns", "2562047h47m16.854775807s"),
        ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
    ],
)
def test_duration_is_formatted_as_in_go(text: str, printed: str) -> None:
    assert format_duration(parse_duration(text)) == printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("100", 'time: missing unit in duration "100"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("10 s", 'time: unknown unit " s" in duration "10 s"'),
        (" 10s", 'time: invalid duration " 10s"'),
        (".s", 'time: invalid duration ".s"'),
        ("s", 'time: invalid duration "s"'),
        ("--5s", 'time: invalid duration "--5s"'),
        ("1e3s", 'time: unknown unit "e" in duration "1e3s"'),
        ("1h-1m", 'time: unknown unit "h-" in duration "1h-1m"'),
        ("1h 5m", 'time: unknown unit "h " in duration "1h 5m"'),
        ("1.2.3s", 'time: missing unit in duration "1.2.3s"'),
        ("3000000h", 'time: invalid duration "3000000h"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
    ],
)
def test_invalid_duration_has_the_error_text_of_go(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="time:") as caught:
        parse_duration(text)
    assert str(caught.value) == message


def test_interval_is_normalized_and_at_least_one_millisecond() -> None:
    assert (Interval("90s"), Interval("90s").ns) == ("1m30s", 90_000_000_000)
    with pytest.raises(ValueError, match="shorter than 1ms"):
        Interval("999us")


@pytest.mark.parametrize(
    ("text", "seconds", "difference"),
    [
        ("1m30s", 90.0, timedelta(seconds=90)),
        ("250ms", 0.25, timedelta(milliseconds=250)),
        ("1ms999ns", 0.001000999, timedelta(milliseconds=1)),
        ("9223372036854775807ns", 9223372036.854776, timedelta(seconds=9223372036, microseconds=854775)),
    ],
)
def test_interval_converts_to_seconds_and_to_a_timedelta(text: str, seconds: float, difference: timedelta) -> None:
    assert (Interval(text).total_seconds(), Interval(text).timedelta) == (seconds, difference)
