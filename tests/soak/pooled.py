"""What a pool gets in a soak run: sources come, change, go, cannot run, or raise at each tick."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.soak.client import Client

LIVE = 200  # sources at a time
FAILING, REFUSED, OWN_SINK = 0.03, 0.03, 0.1  # shares
KEEP_EVERY = 10  # steps
Environ = dict[str, str]


class Pooled:
    """Sends ``/run`` and ``/keep`` as the hook does. ``answered``: the number of answers."""

    def __init__(self, port: int, sink: str, token: Callable[[], str], delivery: str, seed: int) -> None:
        self.answered = 0
        self._client = Client(port)
        self._sink, self._token, self._delivery = sink, token, delivery
        self._random = random.Random(seed)
        self._numbers = count()
        self._live: dict[str, Environ] = {}

    async def fill(self) -> None:
        self._live = {uid: self._environ(uid) for uid in (self._uid() for _ in range(LIVE))}
        await self._post("/run", {"sources": self._live, "absentOnly": True})
        await self._keep()

    async def run(self, per_s: float) -> None:
        """Until it is cancelled: each step edits, creates and deletes one source."""
        loop = asyncio.get_running_loop()
        for step in count(1):
            began = loop.time()
            await self._step()
            if step % KEEP_EVERY == 0:
                await self._keep()
            await asyncio.sleep(max(0.0, began + 1 / per_s - loop.time()))

    async def rest(self) -> None:
        """No source has a tick within the next hours."""
        self._live = {uid: environ | {"INTERVAL": "87600h"} for uid, environ in self._live.items()}
        await self._post("/run", {"sources": self._live, "absentOnly": False})
        await self._keep()

    async def _step(self) -> None:
        edited, gone = self._random.sample(sorted(self._live), 2)
        created = self._uid()
        self._live |= {edited: self._environ(edited), created: self._environ(created)}
        del self._live[gone]
        changed = {uid: self._live.get(uid) for uid in (edited, created, gone)}
        await self._post("/run", {"sources": changed, "absentOnly": False})

    def _uid(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._numbers):012d}"

    def _environ(self, uid: str) -> Environ:
        draw = self._random.random
        sink = f"{self._sink}{self._random.randrange(20)}" if draw() < OWN_SINK else self._sink
        return {
            "NAMESPACE": "soak",
            "NAME": uid,
            "SOURCE_UID": uid,
            "EVENT_SOURCE": f"/soak/{uid}",
            "SOURCE_CREATED": "2026-01-31T12:00:00Z",
            "SOURCE_KIND": "FailingSource" if draw() < FAILING else "SampleSource",
            "SOURCE_DELIVERY": self._delivery,
            "INTERVAL": "never" if draw() < REFUSED else f"{self._random.randrange(900, 1100)}ms",
            "K_SINK": sink,
        }

    async def _keep(self) -> None:
        await self._post("/keep", {"uids": list(self._live), "filled": True})

    async def _post(self, path: str, value: object) -> dict[str, Any]:
        status, answer = await self._client.request("POST", path, json.dumps(value).encode(), self._token())
        if status != 200:
            raise AssertionError(f"the pool answered {status} to {path}: {answer[:300]!r}")
        self.answered += 1
        found: dict[str, Any] = json.loads(answer)
        return found
