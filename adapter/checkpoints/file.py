"""A checkpoint in a file."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from pathlib import Path

from adapter.checkpoints.store import Record, StoreError


class FileStore:
    """The file ``path``, which is replaced as a whole. ``path`` with the suffix ``.lock`` orders the writers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> Record | None:
        return await asyncio.to_thread(self._load)

    async def save(self, record: Record) -> bool:
        return await asyncio.to_thread(self._save, record)

    async def aclose(self) -> None:
        pass

    def _load(self) -> Record | None:
        try:
            fields = json.loads(self._path.read_bytes())
            return Record(fields["version"], fields["value"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from None
        except (ValueError, TypeError, KeyError):
            raise StoreError(f"{self._path} is not a checkpoint; delete it to start without one") from None

    def _save(self, record: Record) -> bool:
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                stored = self._load()
                if stored and stored.version >= record.version:
                    return False
                new.write_text(json.dumps({"version": record.version, "value": record.value}))
                os.replace(new, self._path)
                return True
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from None
