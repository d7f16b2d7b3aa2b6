"""The stream behind the live page: what it sends, to whom, and what a client that does not read can do."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.deadline import DEADLINE_S
from tests.process.cgroup import memory_limit
from tests.process.harness import Process, Start, display, processes, wait_until
from tests.process.http_events import Flood, post


@pytest.fixture
def sink(start: Start) -> str:
    return display(start)[1]


@contextmanager
def stream(url: str, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The messages of the stream: ``id``, ``event`` and ``data``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(url + "/events", headers=named), timeout=DEADLINE_S) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        yield messages(response)


def messages(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    message: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            message[name] = json.loads(value) if name == "data" else value
        elif message:
            yield message
            message = {}


def events(found: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    chosen = (message for message in found if message.get("event") == "event")
    return [next(chosen) for _ in range(count)]


def status(url: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=DEADLINE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_stream_sends_recent_events_then_new_ones(sink: str) -> None:
    post(sink, {"n": 1}, subject="before")
    with stream(sink) as found:
        (before,) = events(found, 1)
        post(sink, {"n": 2}, subject="after")
        (after,) = events(found, 1)
    assert [message["data"]["attributes"]["subject"] for message in (before, after)] == ["before", "after"]
    assert before["data"]["data"] == {"kind": "json", "text": '{"n": 1}', "size": 8, "shown": 8}
    assert before["data"]["status"] == 202


def test_stream_resumes_after_the_last_event_id(sink: str) -> None:
    for n in range(3):
        post(sink, subject=str(n))
    with stream(sink) as found:
        second = events(found, 2)[1]
    with stream(sink, Last_Event_ID=second["id"]) as found:
        assert events(found, 1)[0]["data"]["attributes"]["subject"] == "2"
    with stream(sink, Last_Event_ID="00000000-2") as found:  # of an earlier process
        assert events(found, 1)[0]["data"]["attributes"]["subject"] == "0"


FOREIGN = {
    "host": {"Host": "evil.example.com"},
    "rebound": {"Host": "127.0.0.1.evil.example.com:8080"},
    "origin": {"Origin": "https://evil.example.com"},
    "sandboxed-frame": {"Origin": "null"},
    "site": {"Sec_Fetch_Site": "cross-site"},
    "other-port": {"Sec_Fetch_Site": "same-site"},
    "frame": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "iframe"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("path", ["/", "/events", "/page.js"])
def test_other_sites_cannot_read_the_page(shared_sink: str, headers: dict[str, str], path: str) -> None:
    assert status(shared_sink + path, **headers) == 403


@pytest.fixture(scope="module")
def shared_sink() -> Iterator[str]:
    with processes() as start:
        yield display(start)[1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:9"},
        {"Host": "[::1]:9"},
        {"Host": "10.1.2.3"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "document"},
    ],
    ids=["localhost", "IPv6", "address", "page", "typed", "link"],
)
def test_the_user_can_open_the_page(shared_sink: str, headers: dict[str, str]) -> None:
    assert status(shared_sink + "/", **headers) == 200


def test_foreign_host_can_still_send_events_and_probe(shared_sink: str) -> None:
    assert status(shared_sink + "/healthz", Host="event-display.default.svc") == 200
    assert post(shared_sink, headers={"Host": "event-display.default.svc"}) == 202


def test_every_response_of_the_page_has_the_security_headers(shared_sink: str) -> None:
    for path in ("/", "/page.js", "/events"):
        with urllib.request.urlopen(urllib.request.Request(shared_sink + path, method="HEAD")) as response:
            assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in response.headers


def test_page_more_than_sixteen_is_refused_until_one_is_closed(sink: str) -> None:
    opened = [silent(sink) for _ in range(16)]
    wait_until(lambda: status(sink + "/events") == 503, "no room")
    opened.pop().close()
    wait_until(lambda: status(sink + "/events") == 200, "room")
    for each in opened:
        each.close()


def silent(url: str) -> socket.socket:
    """A client that asks for the stream and reads only the head."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(DEADLINE_S)
    client.connect(("127.0.0.1", int(urlsplit(url).port or 0)))
    client.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_open_page_does_not_delay_the_end_of_the_sink(start: Start) -> None:
    process, url = display(start)
    with closing(silent(url)):
        assert process.stop()[0] == 0
    assert process.errors[1:] == []


def test_pages_that_never_read_fit_into_the_memory_of_the_pod() -> None:
    with memory_limit() as group:
        process, url = display(group.start)
        clients, flood = [silent(url) for _ in range(16)], Flood(url)
        reader = drained(process)
        for _ in range(100):
            flood.send(16, data="x" * 30_000)
            reader()
        flood.close()
        for client in clients:
            client.close()
        assert group.killed() == 0
        assert group.peak_mib() < 60  # the events have 48 MB, the pod has 128 MiB


def drained(process: Process) -> Any:
    """Forgets the lines that the display printed."""

    def forget() -> None:
        while not process.lines.empty():
            process.lines.get()

    return forget
