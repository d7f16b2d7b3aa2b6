"""One GET of a PollSource: conditional requests, redirects, secret headers, limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tracemalloc
from typing import Any

import httpx2
import pytest

from adapter.polling.client import make_client
from adapter.sdk import PollFailed, Unchanged
from adapter.sources.poll_source import PollSource
from tests.unit.adapter.polling.polled import URL, failure, found, ok, poll
from tests.unit.adapter.polling.polling_run import Run

YESTERDAY, TODAY = "Fri, 27 Nov 2026 09:00:00 GMT", "Sat, 28 Nov 2026 09:00:00 GMT"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_error_status_fails_with_status_and_retry_after(status: int) -> None:
    error = failure(lambda request: httpx2.Response(status, headers={"Retry-After": "90"}, content=b"secret"))
    assert (str(error), error.retry_after_s) == (f"HTTP status {status}", 90)


def test_next_request_is_conditional_and_304_is_unchanged() -> None:
    asked: list[tuple[str | None, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append((request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")))
        if len(asked) > 1:
            return httpx2.Response(304)
        return ok([], ETag='"1"', Last_Modified=YESTERDAY)

    async def polls() -> None:
        source = PollSource(url=URL)
        async with make_client(httpx2.MockTransport(answer), source.body_limit()) as client:
            await poll(source, client)
            with pytest.raises(Unchanged):
                await poll(source, client)

    asyncio.run(polls())
    assert asked == [(None, None), ('"1"', YESTERDAY)]


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        pytest.param({"Last-Modified": YESTERDAY, "Date": TODAY}, YESTERDAY, id="a day before the response"),
        pytest.param({"Last-Modified": YESTERDAY}, YESTERDAY, id="without Date"),
        pytest.param({"Last-Modified": TODAY, "Date": TODAY}, None, id="in the second of the response"),
        pytest.param({"Last-Modified": TODAY, "Date": YESTERDAY}, None, id="after the response"),
        pytest.param({"Last-Modified": "yesterday", "Date": TODAY}, None, id="no date"),
        pytest.param({"Last-Modified": YESTERDAY[:-4], "Date": TODAY}, None, id="without a time zone"),
    ],
)
def test_last_modified_is_sent_only_if_the_list_cannot_change_again_in_that_second(
    headers: dict[str, str], sent: str | None
) -> None:
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-Modified-Since"))
        return httpx2.Response(200, headers=headers, json=[])

    async def polls() -> None:
        source = PollSource(url=URL)
        async with make_client(httpx2.MockTransport(answer), 1024) as client:
            for _ in range(2):
                await poll(source, client)

    asyncio.run(polls())
    assert asked == [None, sent]


def test_conditions_are_those_of_the_last_response() -> None:
    asked: list[str | None] = []
    responses = [ok([], ETag='"1"'), ok([]), ok([])]

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-None-Match"))
        return responses[len(asked) - 1]

    async def polls() -> None:
        source = PollSource(url=URL)
        async with make_client(httpx2.MockTransport(answer), 1024) as client:
            for _ in responses:
                await poll(source, client)

    asyncio.run(polls())
    assert asked == [None, '"1"', None]


@pytest.mark.parametrize("validator", [{"ETag": '"1"'}, {"Last-Modified": YESTERDAY}], ids=["etag", "date"])
def test_validators_are_sent_only_to_the_url_that_sent_them(validator: dict[str, str]) -> None:
    """Otherwise /day2, which has the ETag of /day1, would be 304 and would never be read."""
    conditional: list[tuple[str, bool]] = []
    days = iter(["/day1", "/day1", "/day2", "/day2"])

    def answer(request: httpx2.Request) -> httpx2.Response:
        path, asked = request.url.path, {"If-None-Match", "If-Modified-Since"} & {*map(str.title, request.headers)}
        conditional.append((path, bool(asked)))
        if path == "/items":
            return httpx2.Response(302, headers={"Location": next(days), **validator})
        return httpx2.Response(304) if asked else httpx2.Response(200, headers=validator, json=[{"id": path}])

    async def polls() -> list[str | None]:
        source, ids = PollSource(url=URL), []
        async with make_client(httpx2.MockTransport(answer), 1024) as client:
            for _ in range(4):
                with contextlib.suppress(Unchanged):
                    ids += [event.id for event in await poll(source, client)]
        return ids

    assert asyncio.run(polls()) == ["/day1", "/day2"]
    assert [pair for pair in conditional if pair[0] != "/items"] == [
        ("/day1", False), ("/day1", True), ("/day2", False), ("/day2", True)
    ]  # fmt: skip
    assert ("/items", True) not in conditional


def test_validators_of_a_redirect_target_are_not_sent_to_the_next_target() -> None:
    asked: list[tuple[str, str | None]] = []
    moved: dict[str, str] = {}

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append((request.url.path, request.headers.get("If-None-Match")))
        if request.url.path in moved:
            return httpx2.Response(302, headers={"Location": moved[request.url.path]})
        return ok([], ETag='"1"')

    async def polls() -> None:
        source = PollSource(url=URL)
        async with make_client(httpx2.MockTransport(answer), 1024) as client:
            await poll(source, client)
            moved["/items"] = "/new"
            await poll(source, client)

    asyncio.run(polls())
    assert asked == [("/items", None), ("/items", '"1"'), ("/new", None)]


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"mine"'}], ids=["no", "yes"])
def test_304_without_a_conditional_request_is_a_failure(headers: dict[str, str]) -> None:
    with pytest.raises(Unchanged if headers else PollFailed) as caught:
        found(lambda request: httpx2.Response(304), headers=headers)
    assert str(caught.value) == ("" if headers else "HTTP status 304")


def gzipped(body: bytes) -> httpx2.Response:
    return ok(body, Content_Encoding="gzip")


def test_gzip_is_decompressed_up_to_max_bytes() -> None:
    assert [event.id for event in found(lambda request: gzipped(gzip.compress(b'[{"id": "a"}]')))] == ["a"]
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    tracemalloc.start()
    assert "longer than maxBytes" in str(failure(lambda request: gzipped(bomb)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
    assert "not valid gzip" in str(failure(lambda request: gzipped(b"[]")))
    assert "truncated" in str(failure(lambda request: gzipped(gzip.compress(b"[]")[:-3])))


def test_other_content_encoding_is_a_failure() -> None:
    error = failure(lambda request: ok(b"x", Content_Encoding="br"))
    assert str(error) == 'the response has content encoding "br"; only gzip is supported'


def test_endless_response_is_cut_off_at_max_bytes() -> None:
    read = 0

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            nonlocal read
            while True:
                read += 1024
                yield b" " * 1024

    assert "longer than maxBytes" in str(failure(lambda request: httpx2.Response(200, stream=Endless())))
    assert read <= 1024 * 1025


def test_slow_response_is_cut_off_at_the_timeout() -> None:
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
    run = Run(PollSource.model_validate({"url": URL, "timeout": "50ms"}), handler=answer)
    assert run.ids() == []
    assert run.book.lines[0]["reason"] == "the poll took longer than 0.05 s"


def test_secret_headers_are_sent_to_the_origin_of_the_url_only() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.url.host, request.headers.get("X-Key"), request.headers.get("X-Open")))
        moved = {"host": "/again", "other": "http://host/items"}.get(request.url.host)
        moved = "http://other/" if request.url.path == "/again" else moved
        return httpx2.Response(302, headers={"Location": moved or ""}) if len(seen) < 4 else ok([])

    fields = {"headers": {"X-Open": "yes"}, "secretHeaders": {"X-Key": "hush\n"}}
    assert found(answer, **fields) == []
    assert seen == [("host", "hush", "yes"), ("host", "hush", "yes"), ("other", None, "yes"), ("host", None, "yes")]


@pytest.mark.parametrize("name", ["accept", "user-agent", "ACCEPT-ENCODING", "if-none-match", "host"])
@pytest.mark.parametrize("field", ["headers", "secretHeaders"])
def test_header_of_the_user_replaces_the_default_of_any_case(name: str, field: str) -> None:
    sent: list[list[str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers.get_list(name))
        return ok([], ETag='"1"')

    async def polls() -> None:
        source = PollSource.model_validate({"url": URL, field: {name: "mine"}})
        async with make_client(httpx2.MockTransport(answer), 1024) as client:
            for _ in range(2):
                await poll(source, client)

    asyncio.run(polls())
    assert sent == [["mine"], ["mine"]]


def test_secret_header_replaces_the_header_of_the_same_name() -> None:
    sent: list[list[str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers.get_list("X-Key"))
        return ok([]) if request.url.host == "other" else httpx2.Response(302, headers={"Location": "http://other/"})

    assert found(answer, headers={"x-key": "open"}, secretHeaders={"X-KEY": "hush"}) == []
    assert sent == [["hush"], []]


def test_redirect_from_http_to_https_is_a_failure() -> None:
    def upgrade(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(301, headers={"Location": "https://h/secret"})

    assert str(failure(upgrade)) == "url redirects to https://h; write an https URL"


def test_redirect_loop_is_a_failure() -> None:
    error = failure(lambda request: httpx2.Response(302, headers={"Location": URL}))
    assert str(error) == "url redirects more than 5 times"
