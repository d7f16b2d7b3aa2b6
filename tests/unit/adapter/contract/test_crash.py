"""The reason why a program ended."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.crash import crash_cause


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("noise\nK_SINK is bad\n\n", "K_SINK is bad"),
        ('{"msg": "starting"}\n{"msg": "the source failed", "at": "a.py:9", "error": "KeyError: 1", "ts": "now"}',
         "the source failed at a.py:9: KeyError: 1"),
        ('{"msg": "the source failed", "at": "", "error": {"a": 1}}', "the source failed"),
        ('{"error": "no message"}', '{"error": "no message"}'),
        ('["the source failed"]', '["the source failed"]'),
        ("[" * 100_000, "[" * 100_000),
        (" \n", ""),
        (None, ""),
    ],
    ids=["text", "log line", "other types", "object without message", "list", "deep", "blank", "nothing"],
)  # fmt: skip
def test_cause_of_a_crash_is_the_last_line_or_the_message_and_error_of_a_log_line(output: Any, cause: str) -> None:
    assert crash_cause(output) == cause
