"""The log: JSON lines, levels as zap names them, and no flood however long an outage lasts."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from adapter.serving.logs import LogThrottle, configure, level_of
from adapter.testing.clock import VirtualClock
from tests.logbook import Logbook


@pytest.fixture
def _handlers() -> Iterator[None]:
    """``configure`` owns the process's logging; give it back."""
    root, log = logging.getLogger(), logging.getLogger("adapter")
    before = list(root.handlers), root.level, log.level
    yield
    root.handlers[:], root_level, level = before
    root.setLevel(root_level)
    log.setLevel(level)


def config(zap: str) -> str:
    return json.dumps({"zap-logger-config": zap})


@pytest.mark.parametrize(
    ("text", "level"),
    [
        pytest.param("", logging.INFO, id="absent"),
        pytest.param("{}", logging.INFO, id="nothing-said"),
        pytest.param(config(""), logging.INFO, id="empty-zap"),
        pytest.param(config('{"level":"debug"}'), logging.DEBUG, id="debug"),
        pytest.param(config('{"level":"WARN"}'), logging.WARNING, id="upper-case"),
        pytest.param(config('{"level":"dpanic"}'), logging.CRITICAL, id="dpanic"),
    ],
)
def test_the_level_is_the_one_of_the_zap_config(text: str, level: int) -> None:
    assert level_of(text) == level


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="no-json"),
        pytest.param("[]", id="no-object"),
        pytest.param('{"zap-logger-config":{}}', id="zap-no-string"),
        pytest.param(config("[]"), id="zap-no-object"),
        pytest.param(config('{"level":"loud"}'), id="unknown-level"),
        pytest.param(config('{"level":5}'), id="level-no-string"),
        pytest.param("[" * 100_000, id="too-deep"),
    ],
)
@pytest.mark.usefixtures("_handlers")
def test_a_config_that_cannot_be_read_is_one_warning_and_logging_goes_on(text: str) -> None:
    stream = io.StringIO()
    configure("ns", "n", text, stream).info("next")
    warning, following = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (warning["level"], warning["msg"]) == ("warn", "K_LOGGING_CONFIG is not usable; logging at info")
    assert (following["level"], following["msg"]) == ("info", "next")


@pytest.mark.usefixtures("_handlers")
def test_the_http_clients_own_lines_are_not_in_the_log() -> None:
    stream = io.StringIO()
    configure("ns", "n", config('{"level":"debug"}'), stream).debug("ours")
    logging.getLogger("httpx2").info("theirs")
    logging.getLogger("httpcore2.http11").debug("theirs")
    assert [json.loads(line)["msg"] for line in stream.getvalue().splitlines()] == ["ours"]


def test_a_line_says_when_what_and_who() -> None:
    book = Logbook()
    book.log.warning("words\nmore", extra={"fields": {"event_id": "ü"}})
    assert book.text.count("\n") == 1
    (line,) = book.lines
    assert line.pop("ts").endswith("Z")
    assert line == {"level": "warn", "msg": "words\nmore", "namespace": "ns", "name": "name", "event_id": "ü"}


class Outage:
    def __init__(self) -> None:
        self.book, self.clock = Logbook(), VirtualClock()
        self.digest = LogThrottle(self.book.log, self.clock.now)


def test_ten_minutes_of_ten_warnings_a_second_are_ten_lines_whose_counts_add_up() -> None:
    outage = Outage()
    for n in range(6000):
        outage.digest.warning("failed", n=n)
        outage.clock.advance(0.1)
    outage.clock.advance(60)
    outage.digest.flush()
    lines = outage.book.said("failed")
    assert len(lines) == 11
    assert lines[0] == {**lines[0], "count": 1, "n": 0}
    assert lines[-1]["n"] == 5999
    assert sum(line["count"] for line in lines) == 6000


def test_messages_do_not_hold_each_other_back() -> None:
    outage = Outage()
    assert [outage.digest.warning("a"), outage.digest.warning("b"), outage.digest.warning("a")] == [True, True, False]


def test_settling_says_nothing_before_the_minute_is_over_and_nothing_twice() -> None:
    outage = Outage()
    outage.digest.error("a")
    outage.digest.error("a", count=4)
    outage.clock.advance(59.9)
    outage.digest.flush()
    assert len(outage.book.lines) == 1
    outage.clock.advance(0.1)
    outage.digest.flush()
    outage.digest.flush()
    assert [(line["count"], line["level"]) for line in outage.book.lines] == [(1, "error"), (4, "error")]


def test_a_clock_that_is_set_back_does_not_silence_it() -> None:
    outage = Outage()
    outage.digest.error("a")
    outage.clock.advance(-3600)
    assert outage.digest.error("a")
    assert not outage.digest.error("a")
