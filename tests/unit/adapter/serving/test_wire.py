"""Bytes of requests to requests, and responses to bytes: what is accepted, what is refused, and with which status."""

from __future__ import annotations

import pytest

from adapter.serving.messages import Refusal, Request, Response
from adapter.serving.wire import HEADER_COST, HEADERS_LIMIT, QUEUE_LIMIT, READ_SIZE, REQUEST_COST, RequestReader, encode

HEAD_SIZE, BODY_SIZE = 1000, 100
HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"


def reader_of(octets: bytes, step: int = READ_SIZE) -> RequestReader:
    reader = RequestReader(HEAD_SIZE, BODY_SIZE)
    for start in range(0, len(octets), step):
        reader.feed(octets[start : start + step])
    return reader


def requests_in(octets: bytes, step: int = READ_SIZE) -> list[Request]:
    return [received.request for received in reader_of(octets, step).queue]


def status_of(octets: bytes, step: int = READ_SIZE) -> int:
    with pytest.raises(Refusal) as refused:
        reader_of(octets, step)
    return refused.value.status


@pytest.mark.parametrize("step", [1, 7, READ_SIZE])
def test_request_is_the_same_however_its_bytes_are_split(step: int) -> None:
    octets = HEAD + b"X-A: 1\r\nX-a: 2\r\nContent-Length: 3\r\n\r\nabc" + b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
    assert requests_in(octets, step) == [
        Request("POST", "/", {"host": "h", "x-a": "2", "content-length": "3"}, b"abc"),
        Request("GET", "/x", {"host": "h"}, b""),
    ]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        pytest.param("/a%2Fb/../c%20?q=%20&r", "/a%2Fb/../c%20", "q=%20&r", id="not-decoded"),
        pytest.param("http://h/x?q", "/x", "q", id="absolute"),
        pytest.param("http://h?q", "/", "q", id="absolute-without-path"),
        pytest.param("*", "*", "", id="asterisk"),
    ],
)
def test_path_and_query_are_what_the_client_sent(target: str, path: str, query: str) -> None:
    (request,) = requests_in(f"OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert (request.path, request.query) == (path, query)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


def test_value_of_a_header_may_have_blanks_and_capitals() -> None:
    (request,) = requests_in(HEAD + b"Transfer-Encoding:\t Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n")
    assert request.body == b"a"


def test_client_of_http_1_0_gets_no_100() -> None:
    """It would take it for the response (RFC 9110 section 10.1.1)."""
    reader = RequestReader(HEAD_SIZE, 100)
    reader.feed(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert not reader.expects_continue


def test_trailer_of_a_body_is_no_header() -> None:
    (request,) = requests_in(CHUNKED + b"\r\n1\r\na\r\n0\r\nX-Admin: yes\r\n\r\n")
    assert (request.body, "x-admin" in request.headers) == (b"a", False)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n", id="chunked-and-length"),
        pytest.param(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", id="two-lengths"),
        pytest.param(HEAD + b"Content-Length: +3\r\n\r\nabc", id="signed-length"),
        pytest.param(CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", id="two-codings"),
        pytest.param(CHUNKED + b"\r\nzz\r\n", id="chunk-size"),
        pytest.param(CHUNKED + b"\r\n1\r\nab\r\n", id="chunk-end"),
        pytest.param(HEAD + b"X: a\r\n b\r\n\r\n", id="folded-header"),
        pytest.param(HEAD + b"X : a\r\n\r\n", id="space-before-colon"),
        pytest.param(HEAD + b"X: a\x00b\r\n\r\n", id="null"),
        pytest.param(b"POST / HTTP/1.1\nHost: h\n\n", id="bare-line-feed"),
        pytest.param(b"POST / HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(HEAD + b"Host: i\r\n\r\n", id="two-hosts"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2"),
        pytest.param(b"POST h HTTP/1.1\r\nHost: h\r\n\r\n", id="target"),
    ],
)
def test_ambiguous_or_invalid_request_is_400(octets: bytes) -> None:
    """Each could be read differently by a proxy, which is how requests are smuggled (RFC 9112 section 11.2)."""
    assert status_of(octets) == 400
    assert status_of(octets, step=1) == 400


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(HEAD + b"X: " + b"a" * HEAD_SIZE + b"\r\n\r\n", 431, id="head"),
        pytest.param(b"POST /" + b"a" * HEAD_SIZE + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431, id="target"),
        pytest.param(HEAD + b"X: " + b"a" * (HEAD_SIZE + READ_SIZE), 431, id="endless-head"),
        pytest.param(HEAD + b"a:\r\n" * HEADERS_LIMIT + b"\r\n", 431, id="headers"),
        pytest.param(CHUNKED + b"\r\n0\r\nX: " + b"a" * (HEAD_SIZE + 2 * READ_SIZE), 431, id="endless-trailer"),
        pytest.param(HEAD + b"Content-Length: 101\r\n\r\n", 413, id="length"),
        pytest.param(CHUNKED + b"\r\n65\r\n" + b"a" * 101, 413, id="chunks"),
        pytest.param((HEAD + b"\r\n") * (QUEUE_LIMIT + 1), 503, id="queue"),
        pytest.param(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405, id="connect"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, id="compressed-chunks"),
        pytest.param(HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, id="unknown-coding"),
    ],
)
def test_request_beyond_a_limit_or_the_supported_protocol_is_refused(octets: bytes, status: int) -> None:
    assert status_of(octets) == status


def test_requests_before_a_refused_one_are_kept() -> None:
    reader = RequestReader(HEAD_SIZE, BODY_SIZE)
    with pytest.raises(Refusal):
        reader.feed(HEAD + b"\r\n" + b"nonsense\r\n\r\n")
    assert [received.request.path for received in reader.queue] == ["/"]


def test_body_of_a_declined_upgrade_and_the_next_request_are_read() -> None:
    upgrade = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab"
    assert [request.body for request in requests_in(upgrade + HEAD + b"Content-Length: 1\r\n\r\nc")] == [b"ab", b"c"]


@pytest.mark.parametrize("last", [HEAD + b"Connection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"], ids=["close", "1.0"])
def test_bytes_after_the_last_request_are_ignored(last: bytes) -> None:
    reader = reader_of(last + b"nonsense")
    assert [(received.request.path, received.keep_alive) for received in reader.queue] == [("/", False)]
    assert reader.ended


def test_incomplete_request_counts_its_bytes_and_objects() -> None:
    reader = RequestReader(HEAD_SIZE, BODY_SIZE)
    reader.feed(HEAD + b"X: " + b"a" * 500)
    assert (reader.reading, reader.size) == ("head", len(HEAD) + 503 + HEADER_COST)
    reader.feed(b"\r\nContent-Length: 90\r\n\r\n" + b"b" * 80)
    head = len("/HosthXContent-Length90") + 500 + REQUEST_COST + 3 * HEADER_COST
    assert (reader.reading, reader.size) == ("body", head + 80)
    reader.feed(b"b" * 10)
    assert (reader.reading, reader.size) == (None, 0)
    assert reader.queue[0].size == head + 90


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\x00b", "\u20ac"])
def test_header_of_a_response_that_cannot_be_sent_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match=r"control character|latin-1"):
        encode(Response(200, headers={"X": value}), head=False, close=False)


def test_response_without_a_body_has_none() -> None:
    assert (
        encode(Response(204, b"x", {}), head=False, close=True)
        == b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    )
    assert encode(Response(200, b"x", {}), head=True, close=False) == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"


def test_only_the_server_decides_what_happens_to_the_connection() -> None:
    response = Response(200, b"", {"connection": "keep-alive"})
    assert (
        encode(response, head=False, close=True) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


def test_path_can_have_a_limit_of_its_own() -> None:
    reader = RequestReader(HEAD_SIZE, 4, None, {"/list": 8})
    reader.feed(b"POST /list?a=/b HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n12345678")
    assert [received.request.body for received in reader.queue] == [b"12345678"]
    with pytest.raises(Refusal, match="longer than 4 bytes"):
        reader.feed(b"POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345")
    with pytest.raises(Refusal, match="longer than 8 bytes"):
        RequestReader(HEAD_SIZE, 4, None, {"/list": 8}).feed(
            b"POST /list HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n"
        )
