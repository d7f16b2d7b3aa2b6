"""Which lines of an adapter's log ``sources run`` shows, and how it counts them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sources_cli.screen.failures import Failures

SOURCE = {"namespace": "default", "name": "hello"}
FAILED = {"level": "error", "msg": "request failed", "at": "a_source.py:9", "error": "KeyError: 'x'"}


def shown(failures: Failures, **entry: Any) -> str | None:
    return failures.shown(json.dumps({**SOURCE, "level": "warn", **entry}))


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        pytest.param(
            {"msg": "the event loop is blocked", "at": "a_source.py:9", "for_s": 1.0, "remedy": "call it in a thread"},
            "hello: the event loop is blocked at a_source.py:9; call it in a thread",
            id="blocking-code",
        ),
        pytest.param(
            {"msg": "event lost", "event_id": "1", "reason": "answered 403: no quota"},
            "hello: event lost: answered 403: no quota",
            id="refused-event",
        ),
        pytest.param({"msg": "event lost", "event_id": "1"}, "hello: event lost: 1", id="lost-event"),
        pytest.param(
            {"msg": "poll failed", "reason": "answered 500", "retry_after_s": 0.0},
            "hello: poll failed: answered 500",
            id="upstream",
        ),
        pytest.param(
            {"msg": "poll failed", "reason": "failed", **{**FAILED, "msg": "poll failed", "traceback": "…"}},
            "hello: poll failed at a_source.py:9: KeyError: 'x'",
            id="poll-of-an-author",
        ),
        pytest.param(FAILED, "hello: request failed at a_source.py:9: KeyError: 'x'", id="receive-of-an-author"),
        pytest.param(
            {"msg": "a thread failed", "logger": "adapter.interpreter", "error": "KeyError", "at": "a_source.py:9"},
            "hello: a thread failed at a_source.py:9: KeyError",
            id="thread",
        ),
        pytest.param({"level": "info", "msg": "started", "reason": "x"}, None, id="info"),
        pytest.param({"msg": "the source failed", **FAILED, **{"msg": "the source failed"}}, None, id="crash"),
        pytest.param({"msg": "not ready: no event is accepted", "reason": "x"}, None, id="shown-in-the-row"),
    ],
)
def test_failure_is_one_line_with_its_cause(entry: dict[str, Any], line: str | None) -> None:
    assert shown(Failures(), **entry) == line


@pytest.mark.parametrize("line", ["", "text", "[1]", '{"level": "error"', "[" * 100_000])
def test_line_that_is_not_of_a_log_is_no_failure(line: str) -> None:
    assert Failures().shown(line) is None


def test_rest_of_a_count_is_no_second_line_but_part_of_the_sum() -> None:
    failures = Failures()
    assert shown(failures, **FAILED, count=1) == "hello: request failed at a_source.py:9: KeyError: 'x'"
    assert shown(failures, **FAILED, count=5) == "hello: request failed at a_source.py:9: KeyError: 'x' (5 times)"
    assert shown(failures, **FAILED, count=2, last_at="2026-01-01T00:00:00Z") is None
    assert shown(failures, msg="poll failed", reason="answered 500", count=1)
    assert failures.repeated("default/hello") == "request failed (8 times)"
    assert failures.repeated("default/other") == ""
