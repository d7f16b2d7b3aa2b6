"""Checkpoints in tests: what one process of a source saves, the next one loads."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from adapter.checkpoints.store import Record
from adapter.checkpoints.urls import checkpoint_key
from adapter.model.checkpoint import Checkpoint
from adapter.testing.clock import START, VirtualClock

if TYPE_CHECKING:
    from adapter.contract.formats import Json
    from adapter.model.clock import Clock
    from adapter.model.source import Source

__tracebackhide__ = True  # pytest leaves out these frames, so a failure shows the line of the test
UID = "u1"


class Checkpoints:
    """The store of the checkpoints in a test. Pass one object to several calls of ``run`` or ``deliver``.

    Each call with ``checkpoint=`` is one process of the source. It loads what the calls before it have saved, and
    starts at the virtual time at which the last of them ended. It gets a new object of the source with the same fields.
    As in an adapter, a change of a field starts a new checkpoint, unless the field is in ``keeps_checkpoint``.

    ``value``: what was saved last; None before.
    """

    def __init__(self) -> None:
        self.value: Json = None
        self._records: dict[str, Record] = {}
        self._now = START

    @staticmethod
    def check_cuts(source: Source, ticks: int = 5) -> None:
        """Kill the source at each of its first ``ticks`` events, and resume it. The source must have as many events.

        A kill comes after the event was sent and before its outcome. Each is tried with all changes saved, and with all
        but the last. ``AssertionError`` unless the next process repeats the event of the kill, or begins earlier, and
        then sends all events after it, in order and with the same ids.
        """
        ids = _ids(source, ticks, Checkpoints())
        if None in ids:
            text = f"event {ids.index(None) + 1} of {type(source).__name__} has no id"
            raise AssertionError(f"{text}; write Event(id=...), so that it is the same when the event is sent again")
        for killed in range(1, ticks + 1):
            for unsaved in (0, 1):
                _check_cut(source, ids, killed, unsaved)


class Process:
    """One process of a source: from its start to its stop, or to its kill if ``cut`` is True.

    ``unsaved``: how many of the last changes the store does not have when the process is killed.
    """

    def __init__(
        self, source: Source, clock: Clock | None, saved: Checkpoints | None, *, cut: bool = False, unsaved: int = 0
    ) -> None:
        if unsaved and not cut:
            raise ValueError("unsaved has no effect without cut=True; write both or none")
        self.source, self.cut = source, cut
        self.clock = clock or VirtualClock(saved._now if saved else START)
        self.checkpoint = Checkpoint(is_shared=saved is not None)
        self._saved = saved
        if saved:
            self.source = type(source)(**{name: getattr(source, name) for name in source.model_fields_set})
            self._key = checkpoint_key(UID, source)
            if record := saved._records.get(self._key):
                self.checkpoint.restore(record.version, record.value)
        self._states = deque([self._record()], maxlen=unsaved + 1)
        if saved:
            self.checkpoint.on_change = self._changed

    def kill(self) -> None:
        """From now on, nothing is saved."""
        self.checkpoint.on_change = lambda: None

    def end(self) -> None:
        """The store gets what the process has saved."""
        record = self._states[0] if self.cut else self._record()
        if self._saved:
            self._saved._now = self.clock.now()
            stored = self._saved._records.get(self._key)
            if record.version > (stored.version if stored else 0):
                self._saved._records[self._key], self._saved.value = record, record.value

    def _changed(self) -> None:
        self.checkpoint.is_stored = True
        if self.cut:
            self._states.append(self._record())

    def _record(self) -> Record:
        return Record(self.checkpoint.version, self.checkpoint.load())


def _ids(source: Source, ticks: int, saved: Checkpoints, **cut: Any) -> list[str | None]:
    from adapter.testing.harness import run

    return [event.id for event in run(source, ticks, checkpoint=saved, **cut)]


def _check_cut(source: Source, ids: list[str | None], killed: int, unsaved: int) -> None:
    saved, trial = Checkpoints(), Checkpoints()
    for each in (saved, trial):
        _ids(source, killed, each, cut=True, unsaved=unsaved)
    try:
        [first] = _ids(source, 1, trial)
    except AssertionError as error:
        first, nothing = None, f" ({error})"
    else:
        nothing = ""
    what = f"{type(source).__name__} was killed while it sent event {killed}, {ids[killed - 1]!r}"
    if first not in ids[:killed]:
        lost = f"the next process sent {first!r} first{nothing}" if first else f"the next process sent nothing{nothing}"
        raise AssertionError(f"{what}; {lost}. Save after the yield, and give an event the same id each time")
    expected = ids[ids.index(first) :]
    again = _ids(source, len(expected), saved)
    if again != expected:
        raise AssertionError(f"{what}; the next process sent {again}, not {expected}")
