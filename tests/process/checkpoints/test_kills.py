"""Real adapters that are killed at random moments and continue at the stored position, over a growing upstream."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

import pytest

from tests.process.checkpoints.numbers import Numbers
from tests.process.harness import Start
from tests.process.kinds.adapters import Sink

KILLS = 100 if os.environ.get("LONG") else 5


@pytest.fixture(params=["postgres", "redis", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/checkpoint"
    server = request.getfixturevalue(request.param)
    server.start()
    return str(server.url)


@pytest.mark.timeout(900)
def test_kills_lose_nothing_and_repeat_only_what_was_sent_after_the_last_save(
    start: Start, url: str, tmp_path: Path
) -> None:
    chance, repeated = random.Random(18), 0
    with Numbers(tmp_path) as numbers, Sink() as sink:
        for number in [*[signal.SIGKILL] * KILLS, signal.SIGTERM]:
            first, position = len(sink.requests), numbers.stored(url)
            running = numbers.adapter(start, sink, url)
            sink.wait_for(first + 20)
            threading.Event().wait(chance.random() * 0.2)  # a random moment between two saves
            running.process.stop(number)
            sent = [int(id) for id in sink.ids[first:]]
            assert sent == list(range(position + 1, position + 1 + len(sent))), "it continues at the stored position"
            assert numbers.stored(url) <= sent[-1], "a stored position is one that was sent"
            repeated += sent[-1] - numbers.stored(url)
        assert numbers.stored(url) == sent[-1], "an ordered stop saves the last position"
        ids = [int(id) for id in sink.ids]
    assert set(ids) == set(range(1, max(ids) + 1)), "nothing is lost"
    assert len(ids) - len(set(ids)) == repeated, "a kill repeats what was sent after the last save, and nothing else"
    print(f"{KILLS} kills, {len(set(ids))} numbers, {repeated} repeated")
