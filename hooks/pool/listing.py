"""The list of all sources of a pool, in the body of ``/pool/sync``. Pure.

The body has 1.7 KB for each source. To decode it at once needs five times its memory, and blocks the event loop. So
this module decodes one object after the other, and of each source the caller keeps only where it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from adapter.contract.formats import Json
from hooks.conditions import ConditionType
from hooks.diagnosis.observed import find
from hooks.names import get_in

RELATED = "related"
_decode = json.JSONDecoder().raw_decode
_SPACE = " \t\n\r"


class NotAList(ValueError):
    """The text is not a JSON object as Metacontroller sends it."""


class Body:
    """``text``: the whole body. It is kept as long as this object."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def members(self) -> Iterator[tuple[str, Json, int]]:
        """The name, the value and the place of each member. Of ``related``: each object in it, one after the other."""
        for name in self._names():
            if name != RELATED or self._next() == "n":  # null
                yield name, self._value(), -1
                continue
            for _ in self._names():  # of kinds
                for _ in self._names():  # of objects
                    self._next()
                    start = self._at
                    yield name, self._value(), start

    def at(self, start: int) -> Json:
        """The value at a place that ``members`` gave."""
        return _decode(self._text, start)[0]

    def _names(self) -> Iterator[str]:
        """The names of the object at the cursor. The caller moves the cursor over each value."""
        self._take("{")
        if self._next() == "}":
            self._at += 1
            return
        while True:
            name = self._value()
            if not isinstance(name, str):
                raise NotAList(f"a name of a member is missing at character {self._at}")
            self._take(":")
            yield name
            if self._next() == "}":
                self._at += 1
                return
            self._take(",")

    def _next(self) -> str:
        while (char := self._text[self._at : self._at + 1]) and char in _SPACE:
            self._at += 1
        return char

    def _take(self, wanted: str) -> None:
        if self._next() != wanted:
            raise NotAList(f"{wanted} is missing at character {self._at}")
        self._at += 1

    def _value(self) -> Json:
        self._next()
        try:
            value, self._at = _decode(self._text, self._at)
        except (ValueError, RecursionError):
            raise NotAList(f"no JSON value at character {self._at}") from None
        return value


def owner(source: Json) -> str | None:
    """The name of the pool that may run the source now; empty: any pool; None: no pool.

    No pool runs a source that is being deleted, or that a Deployment runs. A source without ``status.pool`` is new: the
    hook may have asked a pool about it already, and its status is not written yet.
    """
    if get_in(source, "metadata", "deletionTimestamp"):
        return None
    marker = get_in(source, "status", "pool")
    if isinstance(marker, str) and marker:
        return marker
    deployed = find(get_in(source, "status"), ConditionType.DEPLOYED) or {}
    runs = get_in(source, "spec", "suspend") is not True and deployed.get("status") != "True"
    return "" if runs else None
