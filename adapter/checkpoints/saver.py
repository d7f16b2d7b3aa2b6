"""Loads the checkpoint before the source starts, and saves its changes while the source runs.

Changes are written at most every 100 ms and once more at the end. If the store fails, events still flow, and the saver
tries again until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta

from adapter.checkpoints.store import Record, Store, StoreError
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock, wait_until
from adapter.serving.logs import LogThrottle

INTERVAL_S = 0.1
RETRY_S = (1.0, 2.0, 4.0, 8.0)  # waits after failures in a row; the last one repeats
LAST_SAVE_S = TIMEOUTS.checkpoint_s


class Saver:
    """Connects a :class:`~adapter.model.checkpoint.Checkpoint` with its store. Without a store it does nothing.

    Call :meth:`open` first, then run the source inside ``async with``.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        store: Store | None,
        clock: Clock,
        log: logging.Logger,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.unready_reason: str | None = None  # why the source does not start yet
        self.checkpoint = checkpoint
        self._store = store
        self.clock = clock
        self._interval_s = interval_s
        self._log = log
        self._throttle = LogThrottle(log, clock.now)
        self._changed = asyncio.Event()
        self._unsaved_since: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def age_s(self) -> float:
        """Seconds since the first change that is not saved; 0 if all are saved."""
        return (self.clock.now() - self._unsaved_since).total_seconds() if self._unsaved_since else 0.0

    async def open(self) -> None:
        """Load the checkpoint. Waits until the store answers: without it, events could be missed."""
        failures = 0
        while self._store:
            try:
                record = await self._store.load()
            except Exception as error:
                self.unready_reason = f"the checkpoint cannot be loaded: {_reason(error)}"
                self._throttle.warning("checkpoint not loaded; will retry", reason=_reason(error))
                await self._wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            if record:
                self.checkpoint.restore(record.version, record.value)
            self._throttle.recovered("checkpoint loaded", failed_attempts=failures)
            self.unready_reason = None
            return

    async def __aenter__(self) -> Saver:
        if self._store:
            self.checkpoint.on_change = self._on_change
            self._task = asyncio.create_task(self._save_changes(self._store))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task and self._store:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._save_last(self._store)
        self._throttle.flush()

    def _on_change(self) -> None:
        self._changed.set()
        self._unsaved_since = self._unsaved_since or self.clock.now()

    async def aclose(self) -> None:
        """Close the store."""
        if self._store:
            await self._store.aclose()

    async def _save_changes(self, store: Store) -> None:
        failures = 0
        while True:
            await self._changed.wait()
            reason = await self._save(store)
            if reason:
                self._throttle.warning("checkpoint not saved; will retry", reason=reason, age_s=round(self.age_s(), 1))
                await self._wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            self._throttle.recovered("checkpoint saved", failed_attempts=failures)
            failures = 0
            await self._wait(self._interval_s)

    async def _save_last(self, store: Store) -> None:
        if not self._unsaved_since:
            return
        reason = "the store did not answer before the shutdown"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SAVE_S):
                reason = await self._save(store) or ""
        if reason:
            self._throttle.warning("checkpoint not saved: the next start repeats events", reason=reason)

    async def _save(self, store: Store) -> str:
        """Write the present value. Returns why it failed, or an empty text."""
        self._changed.clear()
        since, self._unsaved_since = self._unsaved_since, None
        saved = False
        try:
            await store.save(Record(self.checkpoint.version, self.checkpoint.load()))
            saved = self.checkpoint.is_stored = True
        except Exception as error:
            return _reason(error)
        finally:  # also if it was cancelled
            if not saved:
                self._changed.set()
                self._unsaved_since = since
        return ""

    async def _wait(self, seconds: float) -> None:
        await wait_until(self.clock, self.clock.now() + timedelta(seconds=seconds))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else type(error).__name__
