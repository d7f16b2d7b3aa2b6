"""What a new process of a pool gets: the sources of the list, in requests that it takes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2

from hooks.app import new_throttle
from hooks.pool.client import Pools
from hooks.pool.listing import Body
from hooks.pool.question import Question
from hooks.pool.refill import hand_over, read_list

POOL_BODY_SIZE = 8 * 1024 * 1024  # bytes
SIZE = 700_000  # bytes in the source; twice as many in JSON


def test_process_with_large_sources_is_filled() -> None:
    sizes: list[int] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        if request.url.path == "/keep":
            return httpx2.Response(200, json={"missing": body["uids"], "filled": body["filled"]})
        sizes.append(len(body["sources"]))
        return httpx2.Response(200 if len(request.content) <= POOL_BODY_SIZE else 413, json={"sources": {}})

    async def fill() -> Any:
        pools = Pools("http://{}:1".format, str, new_throttle(), transport=lambda: httpx2.MockTransport(handle))
        sources = {f"u-{n}": {"metadata": {"uid": f"u-{n}"}, "status": {"pool": "many"}} for n in range(6)}
        body = Body(json.dumps({"related": {"X": sources}}))
        places = (await read_list(body)).of_pool("many")
        return await hand_over(pools, "many", body, places, lambda _: Question({"SOURCE_CONFIG": '"' * SIZE}))

    assert asyncio.run(fill()).filled
    assert sizes == [4, 2]
