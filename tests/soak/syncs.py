"""The requests that the hook gets in a soak run: new sources, edits, deletes, and requests that it refuses."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from tests.soak.client import Client

ROOT = Path(__file__).resolve().parents[2]
REQUEST = json.loads((ROOT / "tests/contract/sync-request.json").read_text())
QUERIES = [
    "?types=dev.knative.sample",
    "?types=dev.knative.sample&polls=true",
    "?types=dev.knative.sample&copiedLabels=team",
]
LIVE = 300  # sources at a time
FIELDS: dict[str, Any] = {f"f:field{n}": {".": {}} for n in range(40)}  # of managedFields, which a real request has


class Syncs:
    """Sends requests for sources that come, change and go. ``answered``: the number of expected answers."""

    def __init__(self, port: int, token: Callable[[], str], seed: int) -> None:
        self.answered = 0
        self._port, self._token = port, token
        self._random = random.Random(seed)
        self._numbers = count()
        self._live: list[dict[str, Any]] = []

    async def send(self, requests: int) -> None:
        """New sources at once, over several connections: so many that the caches of the hook are full.

        The spec of every second one is refused, so that the log of the hook has as many causes as it keeps.
        """
        clients = [Client(self._port) for _ in range(4)]
        await asyncio.gather(*(self._create_all(client, requests // len(clients)) for client in clients))

    async def run(self, per_s: float) -> None:
        """Until it is cancelled: one request after the other, at most so many per second."""
        client, loop = Client(self._port), asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._step(client)
            await asyncio.sleep(max(0.0, began + 1 / per_s - loop.time()))

    async def _create_all(self, client: Client, requests: int) -> None:
        for n in range(requests):
            source = self._created()
            source["parent"]["spec"]["delivery"] = {"retry": -(n % 2)}
            await self._post(client, "/sync" + QUERIES[0], source, 200)
        await client.close()

    async def _step(self, client: Client) -> None:
        draw = self._random.random()
        if len(self._live) < LIVE or draw < 0.2:
            self._live.append(self._created())
        if len(self._live) > LIVE:
            del self._live[self._random.randrange(LIVE)]  # the hook has no finalizer, so nobody tells it
        source = self._random.choice(self._live)
        self._edit(source)
        query = self._random.choice(QUERIES)
        if draw < 0.02:
            await self._post(client, "/sync" + query, {**source, "parent": {"kind": self._name()}}, 400)
        await self._post(client, "/customize" + query, {key: source[key] for key in ("controller", "parent")}, 200)
        if source["parent"]["spec"]["delivery"]["retry"] >= 0:
            self._observe(source, await self._post(client, "/sync" + query, source, 200))
        else:  # 422 keeps the Deployment; 200 if there is none
            await self._post(client, "/sync" + query, source, 422, 200)

    def _created(self) -> dict[str, Any]:
        source: dict[str, Any] = copy.deepcopy(REQUEST)
        name = self._name()
        source["parent"]["metadata"] |= {"name": name, "uid": f"uid-{name}"}
        return source

    def _name(self) -> str:
        return f"soak-{next(self._numbers)}"

    def _edit(self, source: dict[str, Any]) -> None:
        """Another interval, another port of the sink, a spec that is refused, or a large request."""
        parent, draw = source["parent"], self._random.random()
        parent["metadata"]["generation"] += 1
        parent["spec"]["interval"] = f"{self._random.randrange(1, 10**6)}ms"
        parent["spec"]["delivery"] = {"retry": self._random.randrange(-1, 9)}  # -1 is refused
        parent["metadata"]["managedFields"] = [{"manager": "soak", "fieldsV1": FIELDS}] * (30 if draw < 0.1 else 1)
        sink = source["related"]["Service.v1"]["default/event-display"]
        sink["spec"]["ports"][0]["port"] = self._random.randrange(1, 65536)

    def _observe(self, source: dict[str, Any], answer: dict[str, Any]) -> None:
        """The next request has what this answer wants, as in a cluster."""
        source["parent"]["status"] = answer["status"]
        children: dict[str, dict[str, Any]] = {}
        for child in answer["children"]:
            group, _, version = child["apiVersion"].rpartition("/")
            key = f"{child['kind']}.{group}/{version}" if group else f"{child['kind']}.{version}"
            children.setdefault(key, {})[f"default/{child['metadata']['name']}"] = child
        source["children"] = {"Deployment.apps/v1": {}, **children}

    async def _post(self, client: Client, path: str, value: object, *expected: int) -> dict[str, Any]:
        status, answer = await client.request("POST", path, json.dumps(value).encode(), self._token())
        if status not in expected:
            raise AssertionError(f"the hook answered {status} to {path}, not {expected}: {answer[:300]!r}")
        self.answered += 1
        found: dict[str, Any] = json.loads(answer)
        return found
