"""What the log, the readiness and the metrics of an adapter say about its deliveries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sources_cli.cluster.delivery import (
    ATTEMPTS,
    ENDS,
    READINESS,
    STATES,
    fault_of,
    fault_of_readiness,
    metric,
    troubles_of,
)
from sources_cli.cluster.reasons.entry import Fault
from tests.unit.sources_cli.cluster.objects import log

ADAPTER = Path(__file__).resolve().parents[4] / "adapter"
ATTEMPT = {"msg": "delivery attempt failed; will retry", "code": "503", "reason": "503: busy"}
POLL = {"msg": "poll failed", "reason": "the server answers 500"}


def faults(*entries: dict[str, object]) -> list[str]:
    return [trouble.fault.value for trouble in troubles_of(log(*entries))]


@pytest.mark.parametrize("message", [*ATTEMPTS, *STATES, *ENDS])
def test_every_line_is_one_that_the_adapter_writes(message: str) -> None:
    assert any(f'"{message}"' in file.read_text() for file in ADAPTER.rglob("*.py"))


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (ATTEMPT, "recovered"),
        (POLL, "polls succeed again"),
        ({"msg": "checkpoint not loaded; will retry", "reason": "x"}, "checkpoint loaded"),
        ({"msg": "checkpoint not saved; will retry", "reason": "x"}, "checkpoint saved"),
        ({"msg": "request failed", "error": "x"}, "started"),
    ],
)
def test_fault_ends_with_the_line_that_says_so(begin: dict[str, object], end: str) -> None:
    assert len(faults(begin)) == 1
    assert faults(begin, {"msg": end}) == []
    assert faults({"msg": end}, begin) == faults(begin)


def test_recovery_of_the_sink_does_not_end_a_failing_poll() -> None:
    assert faults(POLL, ATTEMPT, {"msg": "recovered"}) == ["UpstreamFails"]


def test_fault_has_the_time_of_its_first_line_and_the_reason_of_its_last() -> None:
    later = {**ATTEMPT, "ts": "2026-01-01T11:59:59.000Z", "reason": "503: still busy", "count": 7}
    [trouble] = troubles_of(log(ATTEMPT, later))
    assert trouble.since == "2026-01-01T11:58:30Z"
    assert trouble.message == "The sink did not accept an event (7 times): 503: still busy."


def test_lines_that_are_no_json_objects_are_skipped() -> None:
    text = f"Traceback (most recent call last):\n[1]\n{{\n{'[' * 100_000}\n{log(POLL)}"
    assert [trouble.fault for trouble in troubles_of(text)] == [Fault.UPSTREAM_FAILS]


@pytest.mark.parametrize(
    ("code", "reason", "fault"),
    [
        ("503", "503", "SinkFails"),
        ("401", "401 Unauthorized", "SinkRefuses"),
        ("302", "302 Found", "SinkRefuses"),
        ("timeout", "no answer within 10 s", "SinkUnreachable"),
        ("transport", "the proxy http://p:80 answers 502", "ProxyFails"),
        ("tls", "the client certificate cannot be used", "CredentialsUnusable"),
    ],
)
def test_fault_follows_from_the_code_or_the_reason(code: str | None, reason: str, fault: str) -> None:
    assert fault_of(code, reason).value == fault


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("no event is accepted: 3 failures since 2026-01-01T11:58:30Z; the last one: 404 Not Found", "SinkRefuses"),
        (
            "no event is accepted: 1 failure since 2026-01-01T11:58:30Z; the last one: the proxy answers 407",
            "ProxyFails",
        ),
        ("3 polls in a row failed: the server answers 500", "UpstreamFails"),
        ("no poll has succeeded yet: no answer within 10 s", "UpstreamFails"),
        ("the checkpoint cannot be loaded: connection refused", "CheckpointStoreDown"),
        ("the checkpoint cannot be used: not JSON; delete the record x", "CheckpointNotUsable"),
        ("stopping", "NotReady"),
        ("", "NotReady"),
    ],
)
def test_fault_follows_from_the_text_of_the_readiness(reason: str, fault: str) -> None:
    assert fault_of_readiness(reason).value == fault


@pytest.mark.parametrize("words", [words for words, _ in READINESS])
def test_words_of_the_readiness_are_those_of_the_adapter(words: str) -> None:
    assert any(words in file.read_text() for file in ADAPTER.rglob("*.py"))


def test_metric_is_the_sum_of_the_series_with_the_labels() -> None:
    text = 'a{outcome="x",name="n"} 1.0\na{outcome="y"} 2.0\nab{outcome="x"} 4.0\n# HELP a what\na{outcome="x"} 8e0\n'
    assert metric(text, "a", outcome="x") == 9
    assert metric(text, "missing") == metric(None, "a") == 0


def test_metric_is_one_line() -> None:
    """Otherwise each line of a page without a closing brace would be searched to the end of the page."""
    assert metric('a{b="\n"} 5\n', "a") == 0
    assert metric("a{\n" * 100_000, "a") == 0


def test_reason_of_a_log_line_is_cut() -> None:
    (trouble,) = troubles_of(log({**POLL, "reason": "x" * 100_000}))
    assert len(trouble.message) < 1100


def test_no_regular_expression_of_the_module_is_slow() -> None:
    text = "a{" + "b" * 200_000
    assert metric(text, "a") == 0
    assert fault_of(None, re.sub(".", "5", text)) is Fault.NOT_READY
