"""Go durations <-> whole nanoseconds, exactly as Go's ``time.ParseDuration`` and ``Duration.String``. Pure.

Error texts are those of Go, so Knative and this project report the same mistake in the same words.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

_MAX_NS = (1 << 63) - 1
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5 micro sign
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_NUMBER = re.compile(r"([0-9]*)(\.?)([0-9]*)", re.ASCII)
_ISO_DURATION = re.compile(
    r"P(?:([0-9]{1,4})D)?(?:T(?=[0-9])(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})(?:\.([0-9]{1,9}))?S)?)?",
    re.ASCII,
)
_UNIT = re.compile(r"[^0-9.]*", re.ASCII)


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as ``1h30m`` or ``-250ms``; ``ValueError`` with Go's message otherwise."""
    invalid = ValueError(f'time: invalid duration "{text}"')
    rest, negative = text, False
    if rest[:1] in ("-", "+"):
        rest, negative = rest[1:], rest[0] == "-"
    if rest == "0":
        return 0
    if not rest:
        raise invalid
    total = 0
    while rest:
        number = _NUMBER.match(rest)
        assert number is not None  # every part of the pattern may be empty
        whole, point, fraction = number.groups()
        if not whole and not fraction:
            raise invalid
        rest = rest[number.end() :]
        unit_match = _UNIT.match(rest)
        unit = unit_match.group() if unit_match else ""
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS_NS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        rest = rest[len(unit) :]
        total += int(whole or "0") * _UNITS_NS[unit]
        if point and fraction:
            total += int(fraction) * _UNITS_NS[unit] // 10 ** len(fraction)
        if total > _MAX_NS + 1:
            raise invalid
    if total > _MAX_NS and not negative:
        raise invalid
    return -total if negative else total


def format_duration(ns: int) -> str:
    """The text Go prints for a duration: ``1h30m0s``, ``250ms``, ``1µs``, ``0s``."""
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    for unit in ("ns", "µs", "ms"):
        if ns < _UNITS_NS[unit] * 1000:
            return f"{sign}{_decimal(ns, _UNITS_NS[unit])}{unit}"
    minutes, seconds_ns = divmod(ns, _UNITS_NS["m"])
    hours, minutes = divmod(minutes, 60)
    prefix = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{prefix}{_decimal(seconds_ns, _UNITS_NS['s'])}s"


def parse_iso_duration(text: str) -> int:
    """Nanoseconds of an ISO 8601 duration of days to seconds, such as ``PT1M30.5S``; else ``ValueError``."""
    match = _ISO_DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError("write an ISO 8601 duration of days, hours, minutes and seconds, like PT10S or PT1M30S")
    days, hours, minutes, seconds, fraction = match.groups(default="0")
    whole = ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _decimal(ns: int, unit_ns: int) -> str:
    whole, rest = divmod(ns, unit_ns)
    return f"{whole}.{rest:0{len(str(unit_ns)) - 1}d}".rstrip("0") if rest else str(whole)


class Interval(str):
    """A Go duration (https://pkg.go.dev/time#ParseDuration) of at least 1 ms; ``ValueError`` for other texts.

    The text is the normal form of Go's ``Duration.String()``: ``90s`` becomes ``1m30s``. ``ns`` is exact; the
    conversions are not exact for every duration.
    """

    __slots__ = ("ns",)
    ns: int  # length in nanoseconds

    def __new__(cls, text: str) -> Interval:
        ns = parse_duration(text)
        if ns < _UNITS_NS["ms"]:
            raise ValueError(f'"{text}" is shorter than 1ms; write a period like "10s", "1m30s" or "250ms"')
        self = super().__new__(cls, format_duration(ns))
        self.ns = ns
        return self

    def total_seconds(self) -> float:
        """The length in seconds, as that of a ``timedelta``."""
        return self.ns / 1_000_000_000

    @property
    def timedelta(self) -> timedelta:
        """The length as a ``timedelta``, rounded down to whole microseconds."""
        return timedelta(microseconds=self.ns // 1000)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(max_length=64))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "go-duration"}
