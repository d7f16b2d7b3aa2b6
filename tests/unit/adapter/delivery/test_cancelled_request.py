"""A request that is cancelled while its connection is being opened leaves no open socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from adapter.cloudevents.encode import Message
from adapter.delivery.channel import Channel, Destination
from adapter.testing.clock import VirtualClock
from tests.unit.adapter.delivery.loopback import Loopback


@pytest.mark.parametrize("steps", range(16))
def test_request_that_is_cancelled_leaves_no_open_socket(steps: int) -> None:
    async def cancel_after() -> None:
        sink = Loopback()
        channel = Channel(Destination(sink.url), 20, VirtualClock(), connect_timeout_s=10)
        async with sink.running(), contextlib.aclosing(channel):
            post = asyncio.create_task(channel.post(Message({"ce-id": "1"}, b"data")))
            for _ in range(steps):
                await asyncio.sleep(0)
            post.cancel()
            await asyncio.wait([post])
            del post
            gc.collect()  # a socket that is still open becomes a warning, which fails the test

    for _ in range(5):
        asyncio.run(cancel_after())
