"""One GET of a PollSource within its bounds: conditions, redirects, secrets, size and time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tracemalloc
from typing import Any

import httpx2
import pytest

from adapter.polling import client as polling
from adapter.sdk import PollFailed, Unchanged
from adapter.sources.poll_source import PollSource
from tests.unit.adapter.polling.polled import URL, failure, found, ok, poll
from tests.unit.adapter.polling.polling_run import Run


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_an_error_says_its_status_and_how_long_to_wait(status: int) -> None:
    error = failure(lambda request: httpx2.Response(status, headers={"Retry-After": "90"}, content=b"secret"))
    assert (str(error), error.retry_after_s) == (f"answered {status}", 90)


def test_nothing_new_is_told_by_304_to_what_the_last_answer_gave() -> None:
    asked: list[tuple[str | None, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append((request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")))
        if len(asked) > 1:
            return httpx2.Response(304)
        return ok([], ETag='"1"', Last_Modified="yesterday")

    async def polls() -> None:
        source = PollSource(url=URL)
        await poll(source, answer)
        with pytest.raises(Unchanged):
            await poll(source, answer)

    asyncio.run(polls())
    assert asked == [(None, None), ('"1"', "yesterday")]


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"mine"'}], ids=["no", "yes"])
def test_304_is_an_answer_only_to_what_was_asked_with_a_condition(headers: dict[str, str]) -> None:
    with pytest.raises(Unchanged if headers else PollFailed) as caught:
        found(lambda request: httpx2.Response(304), headers=headers)
    assert str(caught.value) == ("" if headers else "answered 304")


def test_an_unchanged_answer_leaves_its_connection_open() -> None:
    connections = []

    async def unchanged(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")
        writer.close()

    async def polls() -> None:
        server = await asyncio.start_server(unchanged, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        source = PollSource(url=url, headers={"If-None-Match": '"1"'})
        async with asyncio.timeout(10), httpx2.AsyncClient(trust_env=False) as client:
            for _ in range(3):
                with pytest.raises(Unchanged):
                    _ = [event async for event in source.poll(client)]
        server.close()
        await asyncio.gather(*(it.wait_closed() for it in connections))

    asyncio.run(polls())
    assert len(connections) == 1


def gzipped(body: bytes) -> httpx2.Response:
    return ok(body, Content_Encoding="gzip")


def test_gzip_is_unpacked_and_bounded() -> None:
    assert [it.id for it in found(lambda request: gzipped(gzip.compress(b'[{"id": "a"}]')))] == ["a"]
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    tracemalloc.start()
    assert "longer than maxBytes" in str(failure(lambda request: gzipped(bomb)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
    assert "no gzip" in str(failure(lambda request: gzipped(b"[]")))
    assert "cut off" in str(failure(lambda request: gzipped(gzip.compress(b"[]")[:-3])))


def test_an_encoding_nobody_asked_for_is_refused() -> None:
    error = failure(lambda request: ok(b"x", Content_Encoding="br"))
    assert str(error) == 'answered with content encoding "br", though gzip was asked for'


def test_a_never_ending_answer_is_cut_off_by_size() -> None:
    read = 0

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            nonlocal read
            while True:
                read += 1024
                yield b" " * 1024

    assert "longer than maxBytes" in str(failure(lambda request: httpx2.Response(200, stream=Endless())))
    assert read <= 1024 * 1025


def test_a_slow_answer_is_cut_off_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                await asyncio.sleep(0.005)
                yield b" "

    def answer(request: httpx2.Request) -> httpx2.Response:
        if asked:
            raise KeyboardInterrupt
        asked.append(1)
        return httpx2.Response(200, stream=Slow())

    asked: list[int] = []
    mock = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    monkeypatch.setattr(polling, "_client", lambda *_: mock)
    run = Run(PollSource.model_validate({"url": URL, "timeout": "50ms"}))
    assert run.ids() == []
    assert run.book.lines[0]["reason"] == "the poll took longer than 0.05 s"


def test_secret_headers_go_to_the_urls_own_origin_alone() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.url.host, request.headers.get("X-Key"), request.headers.get("X-Open")))
        moved = {"host": "/again", "other": "http://host/items"}.get(request.url.host)
        moved = "http://other/" if request.url.path == "/again" else moved
        return httpx2.Response(302, headers={"Location": moved or ""}) if len(seen) < 4 else ok([])

    fields = {"headers": {"X-Open": "yes"}, "secretHeaders": {"X-Key": "hush\n"}}
    assert found(answer, **fields) == []
    assert seen == [("host", "hush", "yes"), ("host", "hush", "yes"), ("other", None, "yes"), ("host", None, "yes")]


def test_a_redirect_to_https_asks_for_another_url_because_an_http_one_trusts_nobody() -> None:
    def upgrade(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(301, headers={"Location": "https://h/secret"})

    assert str(failure(upgrade)) == "redirects to https://h; write an https url"


def test_redirects_without_end_are_a_failure() -> None:
    assert (
        str(failure(lambda request: httpx2.Response(302, headers={"Location": URL}))) == "redirects more than 5 times"
    )
