"""What a poller's client reads of an answer: so many bytes, packed or unpacked, and every member of a gzip."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable

import httpx2
import pytest

from adapter.polling.client import SizeLimitedTransport
from adapter.polling.errors import PollFailed

LIMIT = 1000


class Octets(httpx2.AsyncByteStream):
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            self.read += len(chunk)
            yield chunk


def got(*chunks: bytes, limit: int = LIMIT, encoding: str = "gzip", method: str = "GET") -> bytes:
    """As an author asks, who thinks of no limit."""
    return ask(Octets(chunks), limit, encoding, method)


def ask(stream: Octets, limit: int, encoding: str, method: str = "GET") -> bytes:
    headers = {"Content-Encoding": encoding} if encoding else {}

    async def get() -> bytes:
        mock = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, stream=stream))
        async with httpx2.AsyncClient(transport=SizeLimitedTransport(mock, limit)) as client:
            return (await client.request(method, "http://h/")).content

    return asyncio.run(get())


def endless(chunk: bytes) -> Iterable[bytes]:
    while True:
        yield chunk


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_what_is_not_packed_is_read_up_to_the_limit(encoding: str) -> None:
    assert got(b"a" * 600, b"b" * 400, encoding=encoding) == b"a" * 600 + b"b" * 400
    with pytest.raises(PollFailed, match=r"the answer is longer than 1000 bytes \(body_limit\)"):
        got(b"a" * 600, b"b" * 401, encoding=encoding)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_gzip_is_unpacked_with_all_its_members_and_padding(size: int) -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"") + b"\0" * 9 + gzip.compress(b"two") + b"\0\0"
    assert got(*(packed[at : at + size] for at in range(0, len(packed), size))) == b"onetwo"


def test_what_is_unpacked_counts_and_takes_no_memory_beyond_the_limit() -> None:
    assert got(gzip.compress(b"a" * LIMIT)) == b"a" * LIMIT
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    with pytest.raises(PollFailed, match="longer than 100000 bytes"):
        got(bomb, limit=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("chunk", "encoding"),
    [
        pytest.param(b" " * 100, "", id="plain"),
        pytest.param(gzip.compress(b""), "gzip", id="empty-members"),
        pytest.param(b"\0" * 100, "gzip", id="padding"),
    ],
)
def test_an_answer_without_end_is_cut_off(chunk: bytes, encoding: str) -> None:
    def chunks() -> Iterable[bytes]:
        yield gzip.compress(b"x") if encoding else b"x"
        yield from endless(chunk)

    stream = Octets(chunks())
    with pytest.raises(PollFailed, match="longer than"):
        ask(stream, LIMIT, encoding)
    assert stream.read <= LIMIT + 100


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"[]", "the answer is no gzip, though it says so", id="none"),
        pytest.param(b"\0" * 9 + gzip.compress(b"x"), "the answer is no gzip", id="padding-first"),
        pytest.param(gzip.compress(b"x") + b"rest", "the answer is no gzip", id="rest"),
        pytest.param(gzip.compress(b"x" * 99)[:-3], "the answer is cut off", id="cut-off"),
        pytest.param(gzip.compress(b"x") + gzip.compress(b"y")[:12], "the answer is cut off", id="second-cut-off"),
    ],
)
def test_what_cannot_be_unpacked_whole_is_a_failure(body: bytes, said: str) -> None:
    with pytest.raises(PollFailed, match=said):
        got(body)


def test_an_encoding_nobody_asked_for_is_refused_unless_there_is_nothing_in_it() -> None:
    with pytest.raises(PollFailed, match='content encoding "deflate", though gzip was asked for'):
        got(zlib.compress(b"x"), encoding="deflate")
    assert got(encoding="deflate", method="HEAD") == got(encoding="gzip", method="HEAD") == b""
