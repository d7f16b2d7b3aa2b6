"""Values in messages."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.formats import quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('a"b\n', '"a\\"b\\n"'),
        ("ü", '"ü"'),
        (None, "null"),
        (True, "true"),
        ({"a": [1]}, '{"a": [1]}'),
        ("x" * 81, '"' + "x" * 80 + '…"'),
        ([0] * 40, "[" + "0, " * 26 + "0…"),
    ],
)
def test_value_is_quoted_as_json_on_one_line(value: Any, text: str) -> None:
    assert quoted(value) == text
