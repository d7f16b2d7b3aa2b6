"""Stores that a test opens by their URL, and what they raise."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapter.checkpoints.server import ServerStore
from adapter.checkpoints.store import Record, StoreError
from adapter.checkpoints.urls import open_store
from tests.deadline import DEADLINE_S

_keys = itertools.count()


def new_key() -> str:
    return f"key{next(_keys)}"


@asynccontextmanager
async def opened(url: str, key: str = "key", **options: Any) -> AsyncIterator[ServerStore[Any]]:
    store = open_store(url, key, **options)
    assert isinstance(store, ServerStore)
    try:
        yield store
    finally:
        await store.aclose()


def failure(url: str, key: str = "key", *, saves: bool = False, **options: Any) -> str:
    """The text of the StoreError of load(), or of save()."""

    async def fail() -> str:
        async with opened(url, key, **options) as store:
            with pytest.raises(StoreError) as raised:
                await (store.save(Record(1, "value")) if saves else store.load())
            return str(raised.value)

    text = asyncio.run(asyncio.wait_for(fail(), DEADLINE_S))
    assert "\n" not in text
    assert "s3cret" not in text
    return text


def with_login(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}").geturl()


@contextmanager
def listening(handle: Callable[[socket.socket], object]) -> Iterator[tuple[int, list[str]]]:
    """A port, and the peers that connected to it. ``handle`` gets each connection, which is closed after it."""
    peers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, peer = server.accept()
                    peers.append(peer[0])
                    with connection:
                        handle(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], peers
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
