"""A PollSource asked once, of an upstream that is a function."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from adapter.polling.client import SizeLimitedTransport
from adapter.sdk import Event, PollFailed
from adapter.sources.poll_source import PollSource

URL = "http://host/items"
Handler = Callable[[httpx2.Request], httpx2.Response]


class Octets(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> Any:
        for chunk in self._chunks:
            yield chunk


def found(handler: Handler | bytes | Any, **fields: Any) -> list[Event]:
    """What one poll finds in an answer: octets, or a value as JSON."""
    return asyncio.run(poll(PollSource(url=URL, **fields), as_handler(handler)))


def as_handler(answer: Any) -> Handler:
    if callable(answer):
        return answer  # type: ignore[no-any-return]  # a handler of any shape
    return lambda request: ok(answer)


def ok(answer: Any, **headers: str) -> httpx2.Response:
    """Not yet read, as from a socket."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return httpx2.Response(
        200, headers={name.replace("_", "-"): it for name, it in headers.items()}, stream=Octets(body)
    )


async def poll(source: PollSource, handler: Handler) -> list[Event]:
    transport = SizeLimitedTransport(httpx2.MockTransport(handler), source.body_limit())
    async with httpx2.AsyncClient(transport=transport) as client:
        return [event async for event in source.poll(client)]


def failure(handler: Any, **fields: Any) -> PollFailed:
    with pytest.raises(PollFailed) as caught:
        found(handler, **fields)
    return caught.value
