"""Values in messages."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.formats import public_url, quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('a"b\n', '"a\\"b\\n"'),
        ("ü", '"ü"'),
        ("\x7f\x9b2J\u202e\ud800", '"\\u007f\\u009b2J\\u202e\\ud800"'),
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
    ("url", "public"),
    [
        ("http://h", "http://h"),
        ("https://h:8443/a/b", "https://h:8443/a/b"),
        ("http://u:PW@h/p", "http://h/p"),
        ("http://[fd00::1]:9/p?t=PW#PW", "http://[fd00::1]:9/p"),
        ("http://h?a@b", "http://h"),
        ("http://u:a/PW@h/", "http://h/"),  # not a URL: its port is no number
        ("http://u:80/PW@h/", "http://u:80"),  # a URL with the host u
        ("http://u:PW?PW@h/", "http://h/"),
        ("u:PW@h/p?PW", "h/p"),
        ("ftp://u:PW@h/p", "ftp://h/p"),
        ("/events?t=PW", "/events"),
        ("host", "host"),
        ("", ""),
    ],
)
def test_public_url_has_no_user_password_query_and_fragment(url: str, public: str) -> None:
    assert public_url(url) == public


def test_quoted_url_is_shown_without_its_secrets() -> None:
    assert quoted("http://u:PW@h/p?t=PW") == '"http://h/p"'
