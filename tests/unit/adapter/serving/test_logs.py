"""JSON logs, the levels of zap, and the throttling of repeated messages."""

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
    """Restores the logging of the process, which ``configure`` changes."""
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
        pytest.param("{}", logging.INFO, id="no-level"),
        pytest.param(config(""), logging.INFO, id="empty-zap"),
        pytest.param(config('{"level":"debug"}'), logging.DEBUG, id="debug"),
        pytest.param(config('{"level":"WARN"}'), logging.WARNING, id="upper-case"),
        pytest.param(config('{"level":"dpanic"}'), logging.CRITICAL, id="dpanic"),
    ],
)
def test_level_comes_from_the_zap_config(text: str, level: int) -> None:
    assert level_of(text) == level


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="not-json"),
        pytest.param("[]", id="not-an-object"),
        pytest.param('{"zap-logger-config":{}}', id="zap-not-a-string"),
        pytest.param(config("[]"), id="zap-not-an-object"),
        pytest.param(config('{"level":"loud"}'), id="unknown-level"),
        pytest.param(config('{"level":5}'), id="level-not-a-string"),
        pytest.param("[" * 100_000, id="too-deep"),
    ],
)
@pytest.mark.usefixtures("_handlers")
def test_invalid_config_is_one_warning_and_the_level_is_info(text: str) -> None:
    stream = io.StringIO()
    configure("ns", "n", text, stream).info("next")
    warning, following = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (warning["level"], warning["msg"]) == ("warn", "K_LOGGING_CONFIG is invalid; the level is info")
    assert (following["level"], following["msg"]) == ("info", "next")


@pytest.mark.usefixtures("_handlers")
def test_default_stream_is_the_current_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure("ns", "n", "").info("next")
    assert json.loads(capsys.readouterr().err)["msg"] == "next"


@pytest.mark.usefixtures("_handlers")
def test_log_lines_of_the_http_client_are_hidden() -> None:
    stream = io.StringIO()
    configure("ns", "n", config('{"level":"debug"}'), stream).debug("ours")
    logging.getLogger("httpx2").info("theirs")
    logging.getLogger("httpcore2.http11").debug("theirs")
    assert [json.loads(line)["msg"] for line in stream.getvalue().splitlines()] == ["ours"]


def test_line_has_time_level_message_source_and_fields() -> None:
    book = Logbook()
    book.log.warning("words\nmore", extra={"fields": {"event_id": "ü"}})
    assert book.text.count("\n") == 1
    (line,) = book.lines
    assert line.pop("ts").endswith("Z")
    assert line == {"level": "warn", "msg": "words\nmore", "namespace": "ns", "name": "name", "event_id": "ü"}


@pytest.mark.usefixtures("_handlers")
def test_library_that_fails_at_each_event_writes_ten_lines_and_a_digest_without_the_text_of_the_exception() -> None:
    stream = io.StringIO()
    configure("ns", "n", "", stream)
    for n in range(1000):
        try:
            raise ConnectionError(f"db-7.internal:5432 {n}")
        except ConnectionError:
            logging.getLogger("asyncpg.pool").exception("cannot connect")
    logging.getLogger().handlers[0].close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["count"] for line in lines] == [1] * 10 + [990]
    assert {(line["msg"], line["logger"], line["error"]) for line in lines} == {
        ("cannot connect", "asyncpg.pool", "ConnectionError")
    }
    assert lines[0]["at"].startswith("test_logs.py:")
    assert "internal" not in stream.getvalue()


@pytest.mark.usefixtures("_handlers")
def test_secrets_are_replaced_in_all_texts_of_a_line() -> None:
    stream = io.StringIO()
    log = configure("ns", "n", "", stream, secrets=["hunter2-hunter2", "p w\n", "1", "postgresql://h/db"])
    log.info("hunter2-hunter2 and p w", extra={"fields": {"attempts": 1, "url": "http://h/?t=hunter2-hunter2"}})
    logging.getLogger("library").error("%s", "the password is hunter2-hunter2")
    log.info("failed", extra={"fields": {"at": "postgresql_source.py:24"}})  # a part of a secret is no secret
    own, theirs, place = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (own["msg"], own["url"], own["attempts"]) == ("(secret) and p w", "http://h/?t=(secret)", 1)
    assert theirs["msg"] == "the password is (secret)"
    assert place["at"] == "postgresql_source.py:24"


class Outage:
    def __init__(self) -> None:
        self.book, self.clock = Logbook(), VirtualClock()
        self.throttle = LogThrottle(self.book.log, self.clock.now)


def test_counts_of_a_throttled_message_add_up() -> None:
    outage = Outage()
    for n in range(6000):
        outage.throttle.warning("failed", n=n)
        outage.clock.advance(0.1)
    outage.clock.advance(60)
    outage.throttle.flush()
    lines = outage.book.logged("failed")
    assert len(lines) == 11
    assert lines[0] == {**lines[0], "count": 1, "n": 0}
    assert lines[-1]["n"] == 5999
    assert sum(line["count"] for line in lines) == 6000


def test_messages_are_throttled_separately() -> None:
    outage = Outage()
    for message in ("a", "b", "a"):
        outage.throttle.warning(message)
    assert [line["msg"] for line in outage.book.lines] == ["a", "b"]


def test_held_lines_are_written_before_the_line_that_says_the_cause_has_ended() -> None:
    outage = Outage()
    outage.throttle.error("failed", event_id="1")
    outage.clock.advance(20)
    outage.throttle.error("failed", count=4, event_id="2")
    outage.clock.advance(1)
    assert outage.throttle.recovered("recovered", failures=5)
    outage.clock.advance(100)
    assert not outage.throttle.recovered("recovered")
    first, held, recovered = outage.book.lines
    assert (first["msg"], first["count"], first["event_id"]) == ("failed", 1, "1")
    assert "last_at" not in first
    assert (held["level"], held["count"], held["event_id"]) == ("error", 4, "2")
    assert held["last_at"] == "2026-01-01T00:00:20.000Z"  # that is before the line itself
    assert (recovered["msg"], recovered["level"], recovered["failures"]) == ("recovered", "info", 5)


def test_cause_that_comes_and_goes_writes_few_lines_and_each_pair_ends_with_recovered() -> None:
    outage = Outage()
    for _ in range(6000):
        outage.throttle.warning("failed")
        outage.throttle.recovered("recovered")
        outage.clock.advance(0.1)
    outage.throttle.flush()
    lines = [line["msg"] for line in outage.book.lines]
    assert lines == ["failed", "recovered"] * 11  # once a minute, and at the end
    assert sum(line["count"] for line in outage.book.logged("failed")) == 6000


def test_line_that_was_held_past_its_minute_is_followed_by_recovered() -> None:
    outage = Outage()
    outage.throttle.warning("failed")
    outage.throttle.recovered("recovered")
    outage.throttle.warning("failed")
    outage.throttle.recovered("recovered")
    assert len(outage.book.lines) == 2
    outage.clock.advance(60)
    outage.throttle.recovered("recovered")
    assert [line["msg"] for line in outage.book.lines] == ["failed", "recovered"] * 2
    assert outage.book.lines[2]["last_at"] == "2026-01-01T00:00:00.000Z"


def test_held_line_about_an_ended_cause_is_followed_by_recovered_at_the_end_too() -> None:
    outage = Outage()
    with outage.throttle as throttle:
        for n in (1, 2):
            throttle.warning("failed")
            throttle.recovered("recovered", n=n)
    lines = [(line["msg"], line.get("n")) for line in outage.book.lines]
    assert lines == [("failed", None), ("recovered", 1), ("failed", None), ("recovered", 2)]


def test_no_recovery_is_written_at_the_end_while_the_cause_lasts() -> None:
    outage = Outage()
    with outage.throttle as throttle:
        for _ in range(2):
            throttle.warning("failed")
            throttle.recovered("recovered")
        throttle.warning("failed")
    assert [line["msg"] for line in outage.book.lines] == ["failed", "recovered", "failed"]


def test_held_lines_are_written_at_the_end_with_exact_counts() -> None:
    outage = Outage()
    with outage.throttle as throttle:
        for message in ("a", "a", "b", "a", "b"):
            throttle.warning(message)
    counts = [(line["msg"], line["count"]) for line in outage.book.lines]
    assert counts == [("a", 1), ("b", 1), ("a", 2), ("b", 1)]


def test_clock_set_back_does_not_suppress_a_message() -> None:
    outage = Outage()
    outage.throttle.error("a")
    outage.clock.advance(-3600)
    outage.throttle.error("a")
    assert len(outage.book.lines) == 2
    outage.throttle.error("a")
    assert len(outage.book.lines) == 2
