"""The baseline of the adapter: one BaseModel, one Counter, one client; it posts one CloudEvent, then idles."""

from __future__ import annotations

import asyncio
import os

import httpx2
from prometheus_client import Counter
from pydantic import BaseModel


class Config(BaseModel):
    sink: str
    interval: str = "10s"


async def main() -> None:
    config = Config(sink=os.environ["K_SINK"])
    sent = Counter("sent", "Events sent")
    headers = {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/baseline",
        "ce-type": "dev.knative.sample",
    }
    async with httpx2.AsyncClient() as client:
        await client.post(config.sink, content=b'{"sequence":1,"heartbeat":"10s"}', headers=headers)
        sent.inc()
        await asyncio.Event().wait()


asyncio.run(main())
