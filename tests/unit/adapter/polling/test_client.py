"""The client of a poller limits the size of responses and decompresses gzip."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterable

import httpx2
import pytest

from adapter.polling.client import SizeLimitedTransport
from adapter.polling.errors import PollFailed
from tests.unit.adapter.polling.polled import Chunks

LIMIT = 1000


def got(*chunks: bytes, limit: int = LIMIT, encoding: str = "gzip", method: str = "GET") -> bytes:
    """The whole body, as ``client.get()`` returns it."""
    return body_of(Chunks(chunks), limit, encoding, method)


def body_of(stream: Chunks, limit: int, encoding: str, method: str = "GET") -> bytes:
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
def test_uncompressed_body_is_read_up_to_the_limit(encoding: str) -> None:
    assert got(b"a" * 600, b"b" * 400, encoding=encoding) == b"a" * 600 + b"b" * 400
    with pytest.raises(PollFailed, match=r"the response is longer than 1000 bytes \(body_limit\)"):
        got(b"a" * 600, b"b" * 401, encoding=encoding)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_gzip_is_decompressed_with_all_members_and_zero_padding(size: int) -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"") + b"\0" * 9 + gzip.compress(b"two") + b"\0\0"
    assert got(*(packed[at : at + size] for at in range(0, len(packed), size))) == b"onetwo"


def test_gzip_bomb_is_rejected_without_memory_beyond_the_limit() -> None:
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
def test_endless_body_is_cut_off_at_the_limit(chunk: bytes, encoding: str) -> None:
    def chunks() -> Iterable[bytes]:
        yield gzip.compress(b"x") if encoding else b"x"
        yield from endless(chunk)

    stream = Chunks(chunks())
    with pytest.raises(PollFailed, match="longer than"):
        body_of(stream, LIMIT, encoding)
    assert stream.read <= LIMIT + 100


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"[]", "the response has content encoding gzip but is not valid gzip", id="not-gzip"),
        pytest.param(b"\0" * 9 + gzip.compress(b"x"), "not valid gzip", id="padding-first"),
        pytest.param(gzip.compress(b"x") + b"rest", "not valid gzip", id="rest"),
        pytest.param(gzip.compress(b"x" * 99)[:-3], "the gzip response is truncated", id="truncated"),
        pytest.param(
            gzip.compress(b"x") + gzip.compress(b"y")[:12],
            "the gzip response is truncated",
            id="second-member-truncated",
        ),
    ],
)
def test_invalid_gzip_is_a_failure(body: bytes, reason: str) -> None:
    with pytest.raises(PollFailed, match=reason):
        got(body)


def test_other_content_encoding_is_a_failure_unless_the_body_is_empty() -> None:
    with pytest.raises(PollFailed, match='content encoding "deflate"; only gzip is supported'):
        got(zlib.compress(b"x"), encoding="deflate")
    assert got(encoding="deflate", method="HEAD") == got(encoding="gzip", method="HEAD") == b""


@pytest.mark.parametrize(
    "encoding", ["utf-8", "UTF-8", "none", "binary", "text/html; charset=utf-8", "8bit", " ", "identity, utf-8", '""']
)
def test_content_encoding_that_is_no_coding_is_ignored(encoding: str) -> None:
    assert got(b"plain", encoding=encoding) == b"plain"
    assert got(gzip.compress(b"packed"), encoding=f"GZip, {encoding}") == b"packed"


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate, gzip", "gzip, gzip", "utf-8, br"])
def test_coding_that_is_not_supported_is_a_failure(encoding: str) -> None:
    codings = encoding.removeprefix("utf-8, ")
    with pytest.raises(PollFailed, match=f'content encoding "{codings}"; only gzip is supported'):
        got(gzip.compress(b"x"), encoding=encoding)
