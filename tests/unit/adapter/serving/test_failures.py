"""What a text shows of a secret."""

from __future__ import annotations

import pytest

from adapter.serving.failures import failure_fields, without_secrets


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("door", "no (secret) for 1 (secret)-key"), ("key", "no door for 1 door-key"), (" 1\n", "no door for 1 door-key")],
)
def test_secret_of_fewer_than_four_characters_is_not_replaced(secret: str, shown: str) -> None:
    text = "no door for 1 door-key"
    assert without_secrets(text, [secret]) == shown


def test_error_shows_no_secret() -> None:
    fields = failure_fields(KeyError("hush-hush"), "kinds", ["hush-hush", "'"])
    assert fields["error"] == "KeyError: '(secret)'"
