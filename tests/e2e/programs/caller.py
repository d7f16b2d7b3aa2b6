"""Send PER_S numbered requests per second to URL until SIGTERM; print a line for each: id, answer, time, duration.

Runs in a pod. Half of the clients keep their connection, like a proxy; the others open one per request, like `curl`.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time

import httpx2

CALLERS = 20
KEPT = httpx2.Limits(max_keepalive_connections=1)
NEW = httpx2.Limits(max_keepalive_connections=0)


async def call(client: httpx2.AsyncClient, url: str, id: str) -> str:
    """The status code, with ``?`` appended to a 503 without Retry-After; or the error of the connection."""
    try:
        answer = await client.post(url, content=b"{}", headers={"X-GitHub-Delivery": id})
    except httpx2.TransportError as error:
        return f"{type(error).__name__}({error})".replace(" ", "_")
    return f"{answer.status_code}{'?' if answer.status_code == 503 and 'Retry-After' not in answer.headers else ''}"


async def work(n: int, url: str, per_s: float, ids: itertools.count[int], stop: asyncio.Event) -> None:
    kept = n % 2
    async with httpx2.AsyncClient(limits=KEPT if kept else NEW, timeout=20, trust_env=False) as client:
        due = time.monotonic() + n / per_s
        while not stop.is_set():
            await asyncio.sleep(max(0, due - time.monotonic()))
            id, began = f"{'kept' if kept else 'new'}-{next(ids)}", time.time()
            print(id, await call(client, url, id), f"{began:.3f}", f"{time.time() - began:.3f}", flush=True)
            due = max(due + CALLERS / per_s, time.monotonic() - 1)


async def main(url: str, per_s: str) -> None:
    stop, ids = asyncio.Event(), itertools.count()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.gather(*(work(n, url, float(per_s), ids, stop) for n in range(CALLERS)))


asyncio.run(main(*sys.argv[1:]))
