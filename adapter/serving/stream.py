"""Writes a stream: its head and its parts, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from adapter.serving.messages import Stream
from adapter.serving.wire import encode_head

Write = Callable[[bytes, float], Awaitable[bool]]  # octets, seconds until the client has taken them; False: no more


def encode_stream(stream: Stream, *, chunked: bool) -> bytes:
    """The head. Without ``chunked``, the end of the connection is the end of the body."""
    return encode_head(200, stream.headers, [*["Transfer-Encoding: chunked"] * chunked, "Connection: close"])


async def send(stream: Stream, write: Write, *, chunked: bool) -> None:
    """Write the parts, and the end of the body if the client has taken them all."""
    async with aclosing(stream.parts) as parts:
        async for part in parts:
            if not await write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part, stream.taken_within_s):
                return
    if chunked:
        await write(b"0\r\n\r\n", stream.taken_within_s)
