"""Answers of a token server."""

from __future__ import annotations

import json
from typing import Any

from adapter.net.oauth2 import TokenAnswer


def answer(token: str = "t1", status: int = 200, **fields: Any) -> TokenAnswer:
    return TokenAnswer(status, json.dumps({"access_token": token, "token_type": "Bearer", **fields}).encode())


def refusal(status: int, **fields: Any) -> TokenAnswer:
    return TokenAnswer(status, json.dumps(fields).encode())
