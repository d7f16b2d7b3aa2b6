"""The checkpoint of a source with ticks: for each worker, the last tick that need not be sent again."""

from __future__ import annotations

from adapter.contract.formats import Json
from adapter.model.source import Context

_NEW_SCHEDULE = 1_000_000  # versions


class Positions:
    """``{"schedule": KEY, "positions": [NANOSECONDS, …]}`` with one position for each worker.

    All ticks up to a position were answered by the sink, were skipped, or were due before the source started.
    """

    __slots__ = ("_checkpoint", "_key", "_worker", "_workers")

    def __init__(self, context: Context, key: Json) -> None:
        self._checkpoint = context.checkpoint
        self._key = key
        self._worker, self._workers = context.worker, context.workers

    def load(self) -> tuple[bool, int | None]:
        """Whether the checkpoint is of this schedule, and the position of this worker. None: there is no checkpoint.

        If the number of workers has changed, it is the smallest position of all.
        """
        value = self._checkpoint.load()
        if not isinstance(value, dict) or not isinstance(value.get("positions"), list) or not value["positions"]:
            return True, None
        positions: list[int] = value["positions"]
        same = len(positions) == self._workers
        return value.get("schedule") == self._key, positions[self._worker] if same else min(positions)

    def save(self, position: int) -> None:
        value = self._checkpoint.load()
        positions: list[int] = []
        if isinstance(value, dict) and value.get("schedule") == self._key:
            positions = value["positions"]
        elif value is not None:
            # The old process still counts its ticks, perhaps faster. Its record must not replace this one: a new
            # process would ignore it, because it has another schedule, and miss the ticks until then.
            self._checkpoint.version += _NEW_SCHEDULE
        if len(positions) != self._workers:
            positions = [min([position, *positions])] * self._workers
        positions[self._worker] = position
        self._checkpoint.save({"schedule": self._key, "positions": positions})
