"""Polls a PollSource once. A function is the upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx2
import pytest

from adapter.polling.client import make_client
from adapter.polling.poller import note_poll
from adapter.sdk import Event, PollFailed
from adapter.sources.poll_source import PollSource

URL = "http://host/items"
Handler = Callable[[httpx2.Request], httpx2.Response]


class Chunks(httpx2.AsyncByteStream):
    """A response body in chunks. ``read``: how many bytes were read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.read += len(chunk)
            yield chunk


def found(answer: Handler | bytes | Any, **fields: Any) -> list[Event]:
    """The events of one poll. ``answer``: the body, a value that is sent as JSON, or a function."""
    handler = answer if callable(answer) else lambda request: ok(answer)
    source = PollSource(**{"url": URL, **fields})

    async def once() -> list[Event]:
        async with make_client(httpx2.MockTransport(handler), source.body_limit()) as client:
            return await poll(source, client)

    return asyncio.run(once())


async def poll(source: PollSource, client: httpx2.AsyncClient) -> list[Event]:
    events = [event async for event in source.poll(client)]
    note_poll(source, events, [])
    return events


def ok(body: bytes | Any, **headers: str) -> httpx2.Response:
    """200. ``headers`` are written with underscores: ``Content_Type="text/xml"``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.Response(200, headers=named, stream=Chunks([content]))


def failure(answer: Any, **fields: Any) -> PollFailed:
    with pytest.raises(PollFailed) as caught:
        found(answer, **fields)
    return caught.value
