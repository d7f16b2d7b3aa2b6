"""Real adapters that are killed at random moments and continue at the stored position, over a growing upstream."""

from __future__ import annotations

import json
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
    chance, stored = random.Random(18), list[int]()
    signals = [*[signal.SIGKILL] * KILLS, signal.SIGTERM]
    with Numbers(tmp_path) as numbers, Sink() as sink:
        for run, number in enumerate(signals):
            first = len(sink.requests)
            running = numbers.adapter(start, sink, url, K_CE_OVERRIDES=json.dumps({"extensions": {"run": str(run)}}))
            sink.wait_for(first + 20)
            threading.Event().wait(chance.random() * 0.2)  # a random moment between two saves
            running.process.stop(number)
            stored.append(numbers.stored(url))
    sent = [[int(head["ce-id"]) for head, _ in sink.requests if head["ce-run"] == str(run)] for run in range(KILLS + 1)]
    repeated = last = 0
    for ids, least, most in zip(sent, [0, *stored], stored, strict=False):
        assert ids == list(range(ids[0], ids[0] + len(ids))), "the order is kept"
        assert least < ids[0] <= last + 1, "it continues at the stored position; a write may arrive after the kill"
        repeated, last = repeated + last + 1 - ids[0], ids[-1]
        assert most <= last, "a stored position is one that was sent"
    assert stored[-1] == last, "an ordered stop saves the last position"
    every = [id for ids in sent for id in ids]
    assert set(every) == set(range(1, max(every) + 1)), "nothing is lost"
    print(f"{KILLS} kills, {max(every)} numbers, {repeated} repeated")
