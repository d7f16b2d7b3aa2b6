"""Where a source is in its upstream. The adapter loads the value before ``events()`` and saves its changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from adapter.contract.formats import Json

MAX_BYTES = 64 * 1024  # of the JSON of a value that an author saves

_to_json = json.JSONEncoder(allow_nan=False).encode  # json.dumps would make an encoder for each call


def _nothing() -> None:
    """No value, and nobody to tell."""


class Checkpoint:
    """A small JSON value that outlives the process, if the source has a store (``spec.checkpoint``).

    Call :meth:`save` after the ``yield`` that returned the outcome, never before it: what is saved counts as delivered.
    Without a store, the value is kept in memory only.

    ``version`` counts the calls of :meth:`save` since the first start of the source. If two processes overlap, a store
    keeps the value with the higher version. ``is_shared``: a new process of the source loads what this one saves, even
    if it runs in another pod. ``is_stored``: the store has a value of this source, this one or an earlier one.
    ``key``: the name of the record in the store, for messages; empty without a store.
    """

    __slots__ = ("_make", "is_shared", "is_stored", "key", "on_change", "version")

    def __init__(self, *, is_shared: bool = False, key: str = "") -> None:
        self.key = key
        self.version = 0
        self.is_shared = is_shared
        self.is_stored = False
        self.on_change: Callable[[], None] = _nothing
        self._make: Callable[[], Json] = _nothing

    def load(self) -> Json:
        """The value that was saved last, by this process or an earlier one. None at the first start.

        Each call returns a new copy.
        """
        return self._make()

    def save(self, value: Json) -> None:
        """Keep a copy of ``value``. The store has it about 100 ms later, and before the adapter ends.

        As in all JSON, the keys of an object become strings, and a tuple becomes a list. ``TypeError`` if the value is
        not JSON, ``ValueError`` if its JSON is longer than 64 KiB.
        """
        try:
            text = _to_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"context.checkpoint.save() takes JSON values; {error}") from None
        if len(text) > MAX_BYTES:
            problem = f"has {len(text)} bytes of JSON; save at most {MAX_BYTES}, such as a cursor"
            raise ValueError(f"the value for context.checkpoint.save() {problem}")
        self.save_later(partial(json.loads, text))

    def save_later(self, make: Callable[[], Json], steps: int = 1) -> None:
        """Like :meth:`save`, but ``make()`` returns the value when it is written. For large values of the kit.

        ``steps``: how much the version grows.
        """
        self._make = make
        self.version += steps
        self.on_change()

    def restore(self, version: int, value: Json) -> None:
        """Set what an earlier process saved."""
        self.version = version
        self.is_stored = True
        self._make = partial(json.loads, json.dumps(value))
