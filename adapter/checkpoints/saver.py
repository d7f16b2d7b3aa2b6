"""Loads the checkpoint before the source starts, and saves its changes while the source runs.

Changes are written at most every 100 ms and once more at the end. If the store fails, events still flow, and the saver
tries again until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from adapter.checkpoints.store import Record, Store, StoreError
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock, wait_until
from adapter.serving.logs import LogThrottle

INTERVAL_S = 0.1
RETRY_S = (1.0, 2.0, 4.0, 8.0)  # waits after failures in a row; the last one repeats
LAST_RETRY_S = (0.5, 1.0)  # waits at the stop, before the second and the third attempt
REFRESH_S = 24 * 3600.0  # servers delete records that are unused for 90 days
SILENT_S = 60.0  # a process that has not saved for so long has ended


class Saver:
    """Connects a :class:`~adapter.model.checkpoint.Checkpoint` with its store. Without a store it does nothing.

    Call :meth:`open` first, then run the source inside ``async with``. ``monotonic`` returns seconds.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        store: Store | None,
        clock: Clock,
        log: logging.Logger,
        interval_s: float = INTERVAL_S,
        refresh_s: float = REFRESH_S,
        last_save_s: float = TIMEOUTS.checkpoint_s,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unready_reason: str | None = None  # why the source does not start yet
        self.checkpoint = checkpoint
        self._store = store
        self.clock = clock
        self._interval_s, self._refresh_s, self._last_save_s = interval_s, refresh_s, last_save_s
        self._monotonic = monotonic
        self._throttle = LogThrottle(log, clock.now)
        self._changed = asyncio.Event()  # since the beginning of the last save
        self._changed_at = 0.0  # the first of these changes
        self._unsaved_since: float | None = None
        # The version of a process that is further, and when it was first seen.
        self._other: tuple[int, float] | None = None
        self._task: asyncio.Task[None] | None = None

    def age_s(self) -> float:
        """Seconds since the first change that is not saved; 0 if all are saved."""
        return 0.0 if self._unsaved_since is None else self._monotonic() - self._unsaved_since

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
            reason = "the store did not answer in time"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._last_save_s):
                    await asyncio.gather(self._task, return_exceptions=True)
                    reason = await self._save_last(self._store)
            if reason:
                message = "checkpoint not saved before the end; the next start repeats events"
                self._throttle.warning(message, reason=reason)
        self._throttle.flush()

    async def aclose(self) -> None:
        """Close the store."""
        if self._store:
            await self._store.aclose()

    def _on_change(self) -> None:
        if not self._changed.is_set():
            self._changed.set()
            self._changed_at = self._monotonic()
            if self._unsaved_since is None:
                self._unsaved_since = self._changed_at

    async def _save_changes(self, store: Store) -> None:
        failures = 0
        while True:
            if not await self._change_within(self._refresh_s):
                await self._refresh(store)
                continue
            reason = await self._save(store)
            if reason:
                self._throttle.warning("checkpoint not saved; will retry", reason=reason, age_s=round(self.age_s(), 1))
                await self._wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            self._throttle.recovered("checkpoint saved", failed_attempts=failures)
            failures = 0
            await self._wait(self._interval_s)

    async def _save_last(self, store: Store) -> str:
        """Returns why it failed, or an empty text."""
        reason = ""
        for wait_s in (*LAST_RETRY_S, 0.0):
            if not self._changed.is_set() or not (reason := await self._save(store)):
                return ""
            if wait_s:
                await self._wait(wait_s)
        return reason

    async def _save(self, store: Store) -> str:
        """Write the present value. Returns why it failed, or an empty text."""
        self._changed.clear()
        saved = False
        try:
            record = Record(self.checkpoint.version, self.checkpoint.load())
            stored = await store.save(record)
            saved = self.checkpoint.is_stored = True
        except Exception as error:
            return _reason(error)
        finally:  # also if it was cancelled
            if not saved:
                self._changed.set()
        self._unsaved_since = self._changed_at if self._changed.is_set() else None
        self._compare(stored, record.version)
        return ""

    def _compare(self, stored: int, version: int) -> None:
        """If another process is further, its record stays. If that process has ended, continue above its version.

        Both count the same steps unless their fields differ, such as ``interval``. A process that counts fewer steps
        would otherwise save nothing until its own count is higher.
        """
        if stored <= version:
            self._other = None
        elif self._other is None or self._other[0] != stored:
            self._other = stored, self._monotonic()
        elif self._monotonic() - self._other[1] >= SILENT_S and self.checkpoint.version <= stored:
            behind = stored - self.checkpoint.version
            self.checkpoint.version += 2 * (behind // 2 + 1)  # even or odd as before: pollers use that
            self._on_change()

    async def _refresh(self, store: Store) -> None:
        """Keep the record of a source without changes. If the server has lost it, save it again."""
        try:
            record = await store.load()
        except Exception as error:
            self._throttle.warning("checkpoint not refreshed; will retry in a day", reason=_reason(error))
            return
        if self.checkpoint.version > (record.version if record else 0):
            self._on_change()

    async def _change_within(self, seconds: float) -> bool:
        if not self._changed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        return self._changed.is_set()

    async def _wait(self, seconds: float) -> None:
        await wait_until(self.clock, self.clock.now() + timedelta(seconds=seconds))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else type(error).__name__
