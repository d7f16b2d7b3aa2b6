"""Adapters of the sample kinds, and their sink."""

from __future__ import annotations

import json
import os
import random
import socket
from pathlib import Path

from tests.process.harness import Adapter, ScriptedSink, Start, wait_until
from tests.process.kinds.upstreams import Upstream

KILLS = 100 if os.environ.get("LONG") else 3
OWN = {"SOURCES_PACKAGE": "metacontroller.samples.kinds", "PYTHONPATH": str(Path(__file__).parents[3])}
ANSWER = "HTTP/1.1 {} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Sink(ScriptedSink):
    """Answers 202, or 400 to the ids in ``refused``, after up to ``delay_s`` seconds."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__(self._answer)
        self.refused: set[str] = set()
        self._delay_s, self._chance = delay_s, random.Random(15)

    def _answer(self, connection: socket.socket, n: int) -> None:
        if self._delay_s:
            self.stopped.wait(self._chance.random() * self._delay_s)
        status = 400 if self.requests[n][0]["ce-id"] in self.refused else 202
        connection.sendall(ANSWER.format(status).encode())

    def wait_for_ids(self, wanted: list[str], upstream: Upstream) -> None:
        wait_until(
            lambda: set(wanted) <= set(self.ids) and upstream.left() == 0,
            "all items",
            lambda: f"{len(set(wanted) - set(self.ids))} missing, {upstream.left()} left",
        )


def adapter(start: Start, upstream: Upstream, sink: ScriptedSink, **environ: str) -> Adapter:
    """Starts an adapter, a minute after the one before."""
    upstream.make_due()
    secret = {"SOURCE_SECRET_0": upstream.secret} if upstream.secret else {}
    config = json.dumps(upstream.config)
    return Adapter(
        start, sink.url, INTERVAL="", SOURCE_KIND=upstream.kind, SOURCE_CONFIG=config, **OWN, **secret, **environ
    )
