"""What a token server answers: a token and its lifetime, or the reason why there is none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from adapter.net.credentials import TokenError
from adapter.net.oauth2 import (
    BODY_LIMIT,
    TokenAnswer,
    read_token,
)
from tests.unit.adapter.net.token_answers import answer, refusal


@pytest.mark.parametrize(
    ("given", "reason", "detail"),
    [
        (
            refusal(401, error="invalid_client", error_description="unknown\nclient"),
            "answered 401",
            "invalid_client: unknown client",
        ),
        (refusal(400, error="invalid_scope"), "answered 400", "invalid_scope"),
        (refusal(400, error={"code": 7}), "answered 400", ""),
        (refusal(400, error="\x1b[31mred"), "answered 400", ""),
        (TokenAnswer(502, b"<html>Bad gateway</html>"), "answered 502", ""),
        (TokenAnswer(302, b""), "answered 302", ""),
        (refusal(200, error="bad_client"), "the answer is not a JSON object with an access_token", "bad_client"),
        (TokenAnswer(200, b'{"access_token": "t'), "the answer is not a JSON object with an access_token", ""),
        (TokenAnswer(200, b"[" * BODY_LIMIT), "the answer is not a JSON object with an access_token", ""),
        (TokenAnswer(200, b'"t"'), "the answer is not a JSON object with an access_token", ""),
        (TokenAnswer(200, b"\xff"), "the answer is not a JSON object with an access_token", ""),
        (answer("t" * BODY_LIMIT), "the answer is not a JSON object with an access_token", ""),
        (answer("t\r\nHost: evil"), "the answer is not a JSON object with an access_token", ""),
        (answer(""), "the answer is not a JSON object with an access_token", ""),
        (answer(token_type="mac"), "the token_type is not Bearer; other types are not supported", ""),
        (answer(token_type=7), "the token_type is not Bearer; other types are not supported", ""),
    ],
)
def test_answer_without_a_token_has_a_reason(given: TokenAnswer, reason: str, detail: str) -> None:
    with pytest.raises(TokenError) as caught:
        read_token(given)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_long_description_is_cut() -> None:
    with pytest.raises(TokenError) as caught:
        read_token(refusal(400, error="x" * 10_000))
    assert len(caught.value.detail) == 400


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"expires_in": 60}, 60),
        ({"expires_in": "3599"}, 3599),
        ({"expires_in": 1.5}, 1.5),
        ({"expires_in": -1}, 0),
        ({"expires_in": 10**400}, math.inf),
        ({"expires_in": math.nan}, math.inf),
        ({"expires_in": "soon"}, math.inf),
        ({"expires_in": True}, math.inf),
        ({"expires_in": None}, math.inf),
        ({}, math.inf),
        ({"token_type": "bearer"}, math.inf),
    ],
)
def test_lifetime_of_a_token_is_read_from_expires_in(fields: dict[str, Any], seconds: float) -> None:
    assert read_token(answer(**fields)) == ("t1", seconds)
