"""A cursor of a poller: the greatest value that its items have had at one path. It never moves back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, overload

from adapter.contract.durations import parse_duration
from adapter.model.source import ClassAttribute
from adapter.polling.errors import PollFailed

if TYPE_CHECKING:
    from adapter.contract.formats import Json
    from adapter.model.event import Event
    from adapter.model.source import Source

CursorValue = str | int | float
_PATH = re.compile(r"[^.]+(\.[^.]+)*")
# RFC 3339, section 5.6: date and time, fraction of the second, offset.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """``value``: the greatest value of all items before this poll, minus ``lag``. None before the first poll."""

    value: CursorValue | None


class Incremental(ClassAttribute):
    """A cursor of a Poller, as an attribute of its class: ``since = Incremental("updated_at", lag="5m")``.

    ``path``: the key in the data of the events, with dots for keys inside objects. In ``poll()``, ``self.since.value``
    is the greatest value of all items so far, minus ``lag``. It is None at first. Put it into the request. The values
    are times of RFC 3339, numbers, or texts in the order of their characters, all of one type.

    The cursor moves at the end of a poll that succeeds and in which each item was delivered, dead-lettered or refused.
    The items can be in any order. It stays if an item will be sent again. A checkpoint keeps it.

    ``lag``: by how much a later item may have a smaller value: a duration for times, such as ``"5m"``, and a number for
    numbers. Items that are listed again are not sent again if they are among the last 10,000.

    ``TypeError`` for an empty path or an invalid lag. An item without a value fails the poll.
    """

    def __init__(self, path: str, *, lag: str | float | None = None) -> None:
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise TypeError(
                f'Incremental({path!r}): write the keys to a value, like "updated_at" or "order.updated_at"'
            )
        self.path = path
        self._lag = _check_lag(lag)
        self._name = f'Incremental("{path}")'

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"{owner.__name__}.{name}"

    def problem(self, cls: type[Source]) -> str | None:
        """Why ``cls`` cannot have this attribute, or None. The adapter calls it."""
        from adapter.polling.poller import Poller

        return None if issubclass(cls, Poller) else "is an Incremental, which works only in a Poller; remove it"

    @overload
    def __get__(self, source: None, owner: type) -> Incremental: ...
    @overload
    def __get__(self, source: object, owner: type) -> Cursor: ...

    def __get__(self, source: Any, owner: type) -> Incremental | Cursor:
        if source is None:
            return self
        from adapter.polling.poller import position_of

        return Cursor(self._before(position_of(source).cursors.get(self.path)))

    def greatest(self, before: CursorValue | None, event: Event) -> CursorValue:
        """The greater one of ``before`` and the value of ``event``. ``PollFailed`` if they cannot be compared."""
        value = self._value_in(event.data)
        kind, order = _order(value)
        self._check_kind(kind)
        if before is None:
            return value
        kind_before, order_before = _order(before)
        if kind != kind_before:
            self._fail(
                f'the value of an item is a {kind} and the cursor a {kind_before}; use one type at "{self.path}"'
            )
        return value if order > order_before else before

    def _value_in(self, data: Json) -> CursorValue:
        for key in self.path.split("."):
            data = data.get(key) if isinstance(data, dict) else None
        if isinstance(data, bool) or not isinstance(data, str | int | float) or data == "" or _is_infinite(data):
            self._fail(f'an item has no text or number at "{self.path}"; put it into the data of the event')
        return data

    def _check_kind(self, kind: str) -> None:
        wanted = {"time": timedelta, "number": int | float}.get(kind)
        if self._lag is not None and not (wanted and isinstance(self._lag, wanted)):
            advice = {"time": 'a duration like "5m"', "number": "a number"}.get(kind)
            self._fail(
                f"the value of an item is a {kind}; " + (f"write the lag as {advice}" if advice else "remove the lag")
            )

    def _before(self, value: CursorValue | None) -> CursorValue | None:
        """``value`` minus the lag."""
        if value is None or self._lag is None:
            return value
        self._check_kind(_order(value)[0])
        if isinstance(self._lag, timedelta):
            return _earlier(str(value), self._lag)
        assert not isinstance(value, str)
        return value - self._lag

    def _fail(self, reason: str) -> NoReturn:
        raise PollFailed(f"{self._name}: {reason}")


def _check_lag(lag: Any) -> timedelta | float | None:
    """A duration is rounded up to whole seconds: then a time keeps its form when the lag is subtracted."""
    if isinstance(lag, str):
        try:
            ns = parse_duration(lag)
        except ValueError as error:
            raise TypeError(f'lag="{lag}": {error}; write a duration like "5m", or a number') from None
        if ns > 0:
            return timedelta(seconds=-(-ns // 1_000_000_000))
    elif lag is None or (isinstance(lag, int | float) and not isinstance(lag, bool) and 0 < lag < math.inf):
        return lag
    raise TypeError(f'lag={lag!r}: write a duration like "5m" for times, or a number greater than 0 for numbers')


def _order(value: CursorValue) -> tuple[str, Any]:
    """The kind of a value, and what orders it among the values of its kind."""
    if not isinstance(value, str):
        return "number", value
    match = _TIME.fullmatch(value)
    if match:
        try:
            return "time", (_utc(match[1], match[3]), (match[2] or ".").rstrip("0"))
        except (ValueError, OverflowError):
            pass
    return "text", value


def _utc(date_time: str, offset: str) -> datetime:
    leap_s = 1 if date_time.endswith(":60") else 0
    text = (date_time[:-2] + "59" if leap_s else date_time).upper() + offset.upper()
    return datetime.fromisoformat(text).astimezone(UTC) + timedelta(seconds=leap_s)


def _earlier(text: str, lag: timedelta) -> str:
    """The time ``text`` minus ``lag`` in the same form: with the same fraction of the second and the same offset."""
    match = _TIME.fullmatch(text)
    assert match
    try:
        time = datetime.fromisoformat(match[1].upper().replace(":60", ":59")) - lag
    except OverflowError:
        return text  # the first day that the format can express
    separator = match[1][10]
    return time.isoformat(separator, "seconds") + (match[2] or "") + match[3]


def _is_infinite(value: CursorValue) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
