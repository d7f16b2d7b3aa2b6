"""Adapters of the kind NumberSource, their growing upstream, and their store."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

from adapter.checkpoints.urls import checkpoint_key, open_store
from tests.kinds.number_source import NumberSource
from tests.process.harness import UID, Adapter, ScriptedSink, Start

ROOT = Path(__file__).parents[3]


class Numbers:
    """A file that gets one byte every 3 ms between ``with`` and its end."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "numbers"
        self.path.touch()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._grow)

    @property
    def count(self) -> int:
        return self.path.stat().st_size

    def __enter__(self) -> Numbers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _grow(self) -> None:
        with self.path.open("ab", buffering=0) as file:
            while not self._end.wait(0.003):
                file.write(b".")

    def adapter(self, start: Start, sink: ScriptedSink, url: str, **environ: str) -> Adapter:
        own = {"SOURCES_PACKAGE": "tests.kinds", "PYTHONPATH": str(ROOT), "SOURCE_KIND": "NumberSource"}
        config = json.dumps({"path": str(self.path)})
        return Adapter(
            start, sink.url, INTERVAL="", SOURCE_CONFIG=config, CHECKPOINT_URL=url, LC_ALL="C", **own, **environ
        )

    def stored(self, url: str) -> Any:
        """The number in the store; 0 if there is none."""

        async def load() -> Any:
            store = open_store(url, checkpoint_key(UID, NumberSource(path=str(self.path))))
            try:
                record = await store.load()
            finally:
                await store.aclose()
            return record.value if record else 0

        return asyncio.run(load())
