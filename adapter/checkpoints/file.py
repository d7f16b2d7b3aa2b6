"""A checkpoint in a file."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from adapter.checkpoints.store import LIMIT_S, Record, StoreError

T = TypeVar("T")

_HEAD = re.compile(rb'\{"version": ([0-9]{1,20}), "value": ')
_HEAD_BYTES = 64


class FileStore:
    """The file ``path``, which is replaced as a whole. ``path`` with the suffix ``.lock`` orders the writers.

    ``is_shared``: the file must survive a crash of the node, so each save waits for the disk.
    """

    def __init__(self, path: Path, *, is_shared: bool = False, limit_s: float = LIMIT_S) -> None:
        self._path = path
        self._is_shared = is_shared
        self._limit_s = limit_s
        self._thread = ThreadPoolExecutor(1)  # only one, so a volume that hangs does not take all threads
        self._call: asyncio.Future[Any] | None = None  # the last call of the thread

    async def load(self) -> Record | None:
        return await self._in_thread(self._load)

    async def save(self, record: Record) -> int:
        return await self._in_thread(partial(self._save, record))

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """The thread goes on if the caller is cancelled: it finishes its write, and the next one waits for it.

        The next one waits here, not in the queue of the thread. There, each attempt would keep its record in memory.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                while self._call and not self._call.done():
                    await asyncio.wait([self._call])
                running = self._call = asyncio.get_running_loop().run_in_executor(self._thread, call)
                running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # perhaps nobody waits
                return await asyncio.shield(running)
        except TimeoutError:
            raise StoreError(f"{self._path}: the volume did not answer within {self._limit_s:g} s") from None
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror or type(error).__name__}") from None

    def _load(self) -> Record | None:
        try:
            fields = json.loads(self._path.read_bytes())
            return Record(int(fields["version"]), fields["value"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise self._damaged() from None

    def _save(self, record: Record) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = self._stored_version()
            if stored >= record.version:
                return stored
            self._replace(f'{{"version": {record.version}, "value": {json.dumps(record.value)}}}')
            return record.version

    def _stored_version(self) -> int:
        """0 if there is no record. Reads no value, which may be long."""
        try:
            with self._path.open("rb") as file:
                found = _HEAD.match(file.read(_HEAD_BYTES))
        except FileNotFoundError:
            return 0
        if not found:
            raise self._damaged()
        return int(found[1])

    def _damaged(self) -> StoreError:
        remedy = "delete it (with spec.checkpoint.pod: delete the pod), and the source starts without a checkpoint"
        return StoreError(f"{self._path} is damaged; {remedy}")

    def _replace(self, text: str) -> None:
        new = self._path.with_suffix(".new")
        with new.open("w") as file:
            file.write(text)
            if self._is_shared:
                file.flush()
                os.fsync(file.fileno())
        os.replace(new, self._path)
        if self._is_shared:
            _sync_directory(self._path.parent)


def _sync_directory(directory: Path) -> None:
    """The new name of a file is safe only after this."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
