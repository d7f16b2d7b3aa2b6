"""An adapter process polls an upstream that is down, slow, endless or hostile."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process.harness import DEADLINE_S, Adapter, Start, display, free_port, wait_until
from tests.process.polls import SECRET, ids, own_kind, poller, polls
from tests.process.upstream import Answer, Upstream, items


def test_retry_after_is_honoured(start: Start) -> None:
    at: list[float] = []

    def answer(headers: dict[str, str], n: int) -> Answer:
        at.append(time.monotonic())
        return Answer(status=429, headers={"Retry-After": "2"}) if n == 1 else Answer(items("a"))

    _, url = display(start)
    with Upstream(answer) as upstream:
        source = poller(start, url, upstream)
        upstream.wait_for(3)
        wait_until(lambda: polls(source, "failed") == 1, "a failed poll")
    assert at[2] - at[1] >= 1.9
    (line,) = source.process.logged("poll failed")
    assert (line["reason"], line["retry_after_s"], line["level"]) == ("HTTP status 429", 2, "warn")


BROKEN = [
    pytest.param(Answer(status=500, body=SECRET.encode()), "HTTP status 500", id="500"),
    pytest.param(Answer(f"<!doctype html><html>{SECRET}".encode()), "the response is an HTML page; url", id="html"),
    pytest.param(Answer(b'{"id": "' + SECRET.encode()), "the response is not JSON", id="cut-json"),
    pytest.param(Answer(b" " * 2_000_000 + b"[]"), "the response is longer than maxBytes (1048576)", id="huge"),
    pytest.param(Answer(b" " * 4096, endless=True), "the response is longer than maxBytes (1048576)", id="endless"),
    pytest.param(Answer(b"[", headers={"Content-Length": "9"}), "RemoteProtocolError: ", id="cut-off"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_failing_upstream_makes_the_source_unready_until_it_recovers(start: Start, broken: Answer, reason: str) -> None:
    well = threading.Event()
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("a")) if well.is_set() else broken) as upstream:
        source = poller(start, url, upstream)
        wait_until(lambda: polls(source, "failed") >= 3, "three failures", lambda: source.process.errors)
        wait_until(lambda: source.get("/readiness")[0] == 503, "unready")
        assert f"polls in a row failed: {reason}" in source.get("/readiness")[1]
        assert source.get("/health")[0] == 200
        well.set()
        assert ids(sink, 1) == ["a"]
        wait_until(lambda: source.get("/readiness") == (200, "ok\n"), "ready again", lambda: source.process.errors)
        wait_until(lambda: source.process.logged("polls succeed again"), "a line")
        assert source.process.stop()[0] == 0
    failed, (recovered,) = source.process.logged("poll failed"), source.process.logged("polls succeed again")
    assert len(failed) < recovered["failed_polls"]  # not a line for each
    assert sum(line["count"] for line in failed) == recovered["failed_polls"] >= 3
    assert failed[0]["reason"].startswith(reason)
    assert SECRET not in "".join(source.process.errors)
    source.assert_log_is_json()


def test_upstream_that_refuses_connections_or_never_responds_is_a_failure(start: Start) -> None:
    release = threading.Event()

    def answer(headers: dict[str, str], n: int) -> Answer:
        release.wait(DEADLINE_S)
        return Answer()

    _, url = display(start)
    away = poller(start, url, f"http://127.0.0.1:{free_port()}/")
    with Upstream(answer) as upstream:
        silent = poller(start, url, upstream, timeout="200ms")
        for source in (away, silent):
            wait_until(lambda source=source: polls(source, "failed") >= 3, "failures", lambda: silent.process.errors)
        release.set()
    assert away.process.wait_for_log("poll failed")["reason"].startswith("ConnectError: ")
    assert silent.process.wait_for_log("poll failed")["reason"] == "the poll took longer than 0.2 s"


def test_memory_does_not_grow_while_endless_responses_are_cut_off(start: Start) -> None:
    _, url = display(start)
    with Upstream(lambda headers, n: Answer(b" " * 65536, endless=True)) as upstream:
        source = poller(start, url, upstream, "20ms")
        wait_until(lambda: polls(source, "failed") >= 10, "failures", lambda: source.process.errors)
        before = source.process.memory_kib()
        wait_until(lambda: polls(source, "failed") >= 60, "failures", lambda: source.process.errors)
        assert source.process.memory_kib() - before < 2048
        wait_until(lambda: upstream.hung_up >= 50, "50 connections that the adapter closed", lambda: upstream.hung_up)


# A regular expression of feedparser backtracks on this for hours and blocks all threads of the process.
LONG_WORD = b"<rss version='2.0'><channel><item><author>" + b"a" * 500_000 + b"</author></item></channel></rss>"


def test_feed_that_takes_too_long_to_parse_is_a_failure_and_blocks_nothing(start: Start) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(LONG_WORD if n < 2 else items("a"))) as upstream:
        source = poller(start, url, upstream, timeout="500ms")
        assert source.process.wait_for_log("poll failed")["reason"] == "the poll took longer than 0.5 s"
        assert source.get("/health")[0] == 200
        assert ids(sink, 1) == ["a"]


def test_stop_while_a_feed_is_parsed_is_quick_and_leaves_no_process(start: Start) -> None:
    _, url = display(start)
    with Upstream(lambda headers, n: Answer(LONG_WORD)) as upstream:
        source = poller(start, url, upstream, timeout="5m")
        parser = parser_of(source)
        code, _, asleep_s = source.process.stop()
    assert code == 0
    assert asleep_s < 5
    wait_until(lambda: not Path("/proc", parser).exists(), "the end of the parser")
    source.assert_log_is_json()


def test_parser_of_a_feed_ends_with_an_adapter_that_is_killed(start: Start) -> None:
    _, url = display(start)
    with Upstream(lambda headers, n: Answer(LONG_WORD)) as upstream:
        source = poller(start, url, upstream, timeout="5m")
        parser = parser_of(source)
        source.process.child.kill()
        wait_until(lambda: not Path("/proc", parser).exists(), "the end of the parser", lambda: cpu_s(parser))


def parser_of(source: Adapter) -> str:
    """The process id of a parser that has worked for a second."""
    children = Path(f"/proc/{source.process.child.pid}/task/{source.process.child.pid}/children")

    def running() -> str | None:
        return next((pid for pid in children.read_text().split() if "feed_process" in command_of(pid)), None)

    parser = str(wait_until(running, "a parser process", lambda: source.process.errors))
    wait_until(lambda: cpu_s(parser) > 1, "a second of work", lambda: source.process.errors)
    return parser


def command_of(pid: str) -> str:
    """Empty for a process that has ended: an import of the adapter starts ``ldconfig``."""
    try:
        return Path("/proc", pid, "cmdline").read_text()
    except OSError:
        return ""


def cpu_s(pid: str) -> float:
    user, system = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_source_is_unready_until_its_first_poll_succeeds(start: Start) -> None:
    well = threading.Event()
    sink, url = display(start)

    def answer(headers: dict[str, str], n: int) -> Answer:
        if n == 0:
            well.wait(DEADLINE_S)
        return Answer(items("a"), status=200 if n > 1 else 429, headers={} if n > 1 else {"Retry-After": "1"})

    with Upstream(answer) as upstream:
        source = poller(start, url, upstream)
        upstream.wait_for(1)
        assert source.get("/readiness") == (503, "no poll has succeeded yet\n")
        assert source.get("/health")[0] == 200
        well.set()
        failed = (503, "no poll has succeeded yet: HTTP status 429\n")
        wait_until(lambda: source.get("/readiness") == failed, "why", lambda: source.get("/readiness"))
        assert ids(sink, 1) == ["a"]
        wait_until(lambda: source.get("/readiness") == (200, "ok\n"), "ready", lambda: source.get("/readiness"))


def never_ending() -> Answer:
    return Answer(b" " * 65536, endless=True)


def bomb() -> Answer:
    return Answer(gzip.compress(b" " * 300_000_000), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize("make", [never_ending, bomb])
def test_client_limits_the_response_size_for_every_kind(
    start: Start, tmp_path: Path, make: Callable[[], Answer]
) -> None:
    sink, url = display(start)
    broken = make()
    with Upstream(lambda headers, n: items_at(n, 3, broken)) as upstream:
        source = own_kind(start, url, upstream, tmp_path)
        reason = "the response is longer than 1048576 bytes (body_limit)"
        assert source.process.wait_for_log("poll failed")["reason"] == reason
        assert ids(sink, 1) == ["a"]
        assert source.process.memory_kib("VmHWM") < 80 * 1024


def items_at(n: int, first: int, before: Answer) -> Answer:
    return Answer(items("a")) if n >= first else before


def test_poll_limit_applies_to_every_kind(start: Start, tmp_path: Path) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: items_at(n, 1, Answer(b" ", endless=True, pause_s=0.05))) as upstream:
        more = "\n    def poll_limit_s(self) -> float:\n        return 0.5\n"
        source = own_kind(start, url, upstream, tmp_path, more)
        assert source.process.wait_for_log("poll failed")["reason"] == "the poll took longer than 0.5 s"
        assert ids(sink, 1) == ["a"]
