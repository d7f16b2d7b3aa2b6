"""The least that polls: bare httpx2, a GET, one POST for each item that the last answer had not. For bench_poll.py."""

from __future__ import annotations

import asyncio
import os

import httpx2

SINK, UPSTREAM, INTERVAL_S = os.environ["K_SINK"], os.environ["UPSTREAM"], float(os.environ["INTERVAL_S"])


async def main() -> None:
    seen: set[str] = set()
    conditions: dict[str, str] = {}
    async with httpx2.AsyncClient(timeout=10, limits=httpx2.Limits(keepalive_expiry=None)) as client:
        while True:
            response = await client.get(UPSTREAM, headers=conditions)
            if response.status_code != 304:
                conditions = {"If-None-Match": response.headers["ETag"]} if "ETag" in response.headers else {}
                items = response.json()
                for item in items:
                    if item["id"] not in seen:
                        headers = {"ce-id": item["id"], "ce-type": "t", "ce-source": "/s", "ce-specversion": "1.0"}
                        await client.post(SINK, json=item, headers=headers)
                seen = {item["id"] for item in items}
            await asyncio.sleep(INTERVAL_S)


asyncio.run(main())
