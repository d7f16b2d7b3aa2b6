"""The real adapter polls an interface that is broken, slow, endless or hostile: it is said, and costs little."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest

from sources_cli.generate import templates
from tests.process.harness import DEADLINE_S, Adapter, Start, display, free_port, wait_until
from tests.process.polls import QUICK, SECRET, ids, poller, polls
from tests.process.test_delivery import logged, rss_kib
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
    (line,) = logged(source.process, "poll failed")
    assert (line["reason"], line["retry_after_s"], line["level"]) == ("answered 429", 2, "warn")


BROKEN = [
    pytest.param(Answer(status=500, body=SECRET.encode()), "answered 500", id="500"),
    pytest.param(Answer(f"<!doctype html><html>{SECRET}".encode()), "the answer is an HTML page; url must", id="html"),
    pytest.param(Answer(b'{"id": "' + SECRET.encode()), "the answer is not JSON", id="cut-json"),
    pytest.param(Answer(b" " * 2_000_000 + b"[]"), "the answer is longer than maxBytes (1048576)", id="huge"),
    pytest.param(Answer(b" " * 4096, endless=True), "the answer is longer than maxBytes (1048576)", id="never-ending"),
    pytest.param(Answer(b"[", headers={"Content-Length": "9"}), "RemoteProtocolError: ", id="cut-off"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "said"), BROKEN)
def test_a_broken_upstream_ends_readiness_and_its_recovery_brings_it_back(
    start: Start, broken: Answer, said: str
) -> None:
    well = threading.Event()
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("a")) if well.is_set() else broken) as upstream:
        source = poller(start, url, upstream)
        wait_until(lambda: polls(source, "failed") >= 3, "three failures", lambda: source.process.errors)
        wait_until(lambda: source.get("/readiness")[0] == 503, "unready")
        assert f"polls in a row failed: {said}" in source.get("/readiness")[1]
        assert source.get("/health")[0] == 200
        well.set()
        assert ids(sink, 1) == ["a"]
        wait_until(lambda: source.get("/readiness") == (200, "ok\n"), "ready again", lambda: source.process.errors)
        wait_until(lambda: logged(source.process, "polls succeed again"), "a line")
        assert source.process.stop()[0] == 0
    assert len(logged(source.process, "poll failed")) == 1
    assert logged(source.process, "poll failed")[0]["reason"].startswith(said)
    assert SECRET not in "".join(source.process.errors)
    source.assert_log_is_json()


def test_an_upstream_that_is_away_or_silent_is_broken_and_no_more(start: Start) -> None:
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
    assert away.process.said("poll failed")["reason"].startswith("ConnectError: ")
    assert silent.process.said("poll failed")["reason"] == "the poll took longer than 0.2 s"


def test_memory_stays_while_a_huge_answer_is_cut_off_again_and_again(start: Start) -> None:
    _, url = display(start)
    with Upstream(lambda headers, n: Answer(b" " * 65536, endless=True)) as upstream:
        source = poller(start, url, upstream, "20ms")
        wait_until(lambda: polls(source, "failed") >= 10, "failures", lambda: source.process.errors)
        before = rss_kib(source.process)
        wait_until(lambda: polls(source, "failed") >= 60, "failures", lambda: source.process.errors)
        assert rss_kib(source.process) - before < 2048
    assert upstream.hung_up >= 50


# A regular expression of the library tries this for hours, and lets no other thread run meanwhile.
LONG_WORD = b"<rss version='2.0'><channel><item><author>" + b"a" * 500_000 + b"</author></item></channel></rss>"


def test_a_feed_that_cannot_be_read_in_time_is_broken_and_holds_nothing_up(start: Start) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(LONG_WORD if n < 2 else items("a"))) as upstream:
        source = poller(start, url, upstream, timeout="500ms")
        assert source.process.said("poll failed")["reason"] == "the poll took longer than 0.5 s"
        assert source.get("/health")[0] == 200
        assert ids(sink, 1) == ["a"]


def test_a_stop_while_a_feed_is_read_is_quick_and_leaves_no_process(start: Start) -> None:
    _, url = display(start)
    with Upstream(lambda headers, n: Answer(LONG_WORD)) as upstream:
        source = poller(start, url, upstream, timeout="5m")
        children = Path(f"/proc/{source.process.child.pid}/task/{source.process.child.pid}/children")
        reader = wait_until(children.read_text, "a process that reads", lambda: source.process.errors).strip()
        wait_until(lambda: cpu_s(reader) > 1, "a second of work", lambda: source.process.errors)
        code, seconds = source.process.stop()
    assert code == 0
    assert seconds < 5
    assert not Path("/proc", reader).exists()
    source.assert_log_is_json()


def cpu_s(pid: str) -> float:
    user, system = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_a_source_is_unready_until_its_first_poll_succeeds(start: Start) -> None:
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
        failed = (503, "no poll has succeeded yet: answered 429\n")
        wait_until(lambda: source.get("/readiness") == failed, "why", lambda: source.get("/readiness"))
        assert ids(sink, 1) == ["a"]
        assert source.get("/readiness") == (200, "ok\n")


def own_kind(start: Start, sink: str, upstream: Upstream, tmp_path: Path, more: str = "") -> Adapter:
    """As `sources new --poll` writes it, with ``more`` in its class."""
    code = templates.filled(templates.POLL, kind="ListSource", type="com.example.list")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/list_source.py").write_text(code + more)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    config = json.dumps({"url": upstream.url})
    environ = {"SOURCE_KIND": "ListSource", "SOURCES_PACKAGE": "own", "PYTHONPATH": path}
    return Adapter(start, sink, QUICK, SOURCE_CONFIG=config, **environ)


BOMB = Answer(gzip.compress(b" " * 300_000_000), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "broken", [pytest.param(Answer(b" " * 65536, endless=True), id="never-ending"), pytest.param(BOMB, id="bomb")]
)
def test_a_kind_that_thinks_of_no_limit_reads_no_more_than_its_client_does(
    start: Start, tmp_path: Path, broken: Answer
) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: items_at(n, 3, broken)) as upstream:
        source = own_kind(start, url, upstream, tmp_path)
        said = "the answer is longer than 4194304 bytes (body_limit)"
        assert source.process.said("poll failed")["reason"] == said
        assert ids(sink, 1) == ["a"]
        status = Path(f"/proc/{source.process.child.pid}/status").read_text()
    (peak,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < 80 * 1024  # KiB


def items_at(n: int, first: int, before: Answer) -> Answer:
    return Answer(items("a")) if n >= first else before


def test_a_kind_that_thinks_of_no_limit_does_not_wait_for_ever(start: Start, tmp_path: Path) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: items_at(n, 1, Answer(b" ", endless=True, pause_s=0.05))) as upstream:
        more = "\n    def poll_limit_s(self) -> float:\n        return 0.5\n"
        source = own_kind(start, url, upstream, tmp_path, more)
        assert source.process.said("poll failed")["reason"] == "the poll took longer than 0.5 s"
        assert ids(sink, 1) == ["a"]
