"""A request to a server that answers with JSON."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from tests.deadline import DEADLINE_S


def call(
    url: str, body: bytes | None = None, method: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Status and the one JSON value of the answer. ``method``: default POST with a body, else GET."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
