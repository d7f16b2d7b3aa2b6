"""A kind that saves its own position in a file: its adapter is killed or stopped, and the next one continues."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from tests.process.harness import Adapter, ScriptedSink, Start, wait_until
from tests.process.webhook import ACCEPTED

KILLS = 100 if os.environ.get("LONG") else 6
NUMBERS = '''from adapter.sdk import Event, Source


class NumberSource(Source):
    """Sends the natural numbers."""

    async def events(self, context):
        number = context.checkpoint.load() or 0
        while True:
            yield Event("com.example.number", number, id=str(number))
            number += 1
            context.checkpoint.save(number)
'''


class Upstream:
    """Starts adapters that share the directory ``checkpoint``, one after the other."""

    def __init__(self, start: Start, sink: ScriptedSink, tmp_path: Path) -> None:
        (tmp_path / "own").mkdir()
        (tmp_path / "own/number_source.py").write_text(NUMBERS)
        self.directory = tmp_path / "checkpoint"
        self._start, self._sink = start, sink
        path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
        self._environ = {"SOURCE_KIND": "NumberSource", "SOURCES_PACKAGE": "own", "PYTHONPATH": path, "INTERVAL": ""}

    def run(self, end: signal.Signals, *, events: int, stores: bool = True) -> list[int]:
        """The numbers that one adapter sent before ``end``."""
        seen = len(self._sink.requests)
        url = {"CHECKPOINT_URL": f"file://{self.directory}"} if stores else {}
        adapter = Adapter(self._start, self._sink.url, **self._environ, **url)
        self._sink.wait_for(seen + events)
        if stores:
            wait_until(lambda: list(self.directory.glob("*.json")), "a saved position", lambda: adapter.process.errors)
        assert adapter.process.stop(end)[0] == (0 if end == signal.SIGTERM else -end)
        return [int(number) for number in self._sink.ids[seen:]]

    def saved(self) -> int:
        [file] = self.directory.glob("*.json")
        return int(json.loads(file.read_text())["value"])


def slowly(connection: socket.socket, n: int) -> None:
    threading.Event().wait(0.005)
    connection.sendall(ACCEPTED)


@pytest.mark.timeout(600)
def test_kills_lose_no_event_and_repeat_only_what_was_not_saved(start: Start, tmp_path: Path) -> None:
    chance, saved = random.Random(18), {0}
    with ScriptedSink(slowly) as sink:
        upstream = Upstream(start, sink, tmp_path)
        for _ in range(KILLS):
            upstream.run(signal.SIGKILL, events=chance.randrange(1, 60))
            saved.add(upstream.saved())
        upstream.run(signal.SIGTERM, events=1)
        sent = [int(number) for number in sink.ids]
    begun = [after for before, after in pairwise(sent) if after != before + 1]  # by the next process, in order
    assert set(begun) <= saved
    assert begun == sorted(begun)
    assert set(sent) == set(range(max(sent) + 1))
    assert len(saved) > 1


def test_stop_repeats_no_event(start: Start, tmp_path: Path) -> None:
    with ScriptedSink(slowly) as sink:
        upstream = Upstream(start, sink, tmp_path)
        sent = [number for _ in range(3) for number in upstream.run(signal.SIGTERM, events=10)]
    assert all(after == before + 1 for before, after in pairwise(sent))


def test_without_a_store_the_next_adapter_starts_anew(start: Start, tmp_path: Path) -> None:
    with ScriptedSink(slowly) as sink:
        upstream = Upstream(start, sink, tmp_path)
        first, second = (upstream.run(signal.SIGTERM, events=3, stores=False) for _ in range(2))
    assert (first[0], second[0]) == (0, 0)
