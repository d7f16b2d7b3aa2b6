"""Values in messages."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.formats import crash_cause, quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('a"b\n', '"a\\"b\\n"'),
        ("ü", '"ü"'),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ({}, "an empty object"),
        ({"a": "secret"}, "an object with the key a"),
        ({"a": [1], "b\n": 2}, "an object with the keys a, b\\n"),
        ({"x" * 50: 1, "y" * 50: 2}, f"an object with the keys {'x' * 50}, {'y' * 28}…"),
        ([], "an empty list"),
        (["secret"], "a list with 1 item"),
        ({"": 1}, "an object with the key "),
        ("x" * 81, '"' + "x" * 80 + '…"'),
        ([0] * 40, "a list with 40 items"),
    ],
)
def test_message_shows_a_scalar_as_json_and_no_member_of_an_object_or_list(value: Any, text: str) -> None:
    assert quoted(value) == text


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
