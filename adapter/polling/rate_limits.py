"""How long an upstream asks to wait: ``Retry-After``, rate limits that are used up, and ``X-Poll-Interval``. Pure.

Rate limits: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api and
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ with its older versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import httpx2

from adapter.net.retry_after import retry_after_s
from adapter.polling.errors import MAX_RETRY_AFTER_S, PollFailed

_PREFIXES = ("X-RateLimit", "X-Rate-Limit", "RateLimit")
_LIMITING = (403, 429, 503)
_NUMBER = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)
_FIRST_EPOCH = 1e9  # larger numbers are times since 1970: in seconds, or from 1e11 on in milliseconds
_FIRST_EPOCH_MS = 1e11
_NOTHING_LEFT = re.compile(r"\b(r|remaining)=0(?!\d)")
_RESET = re.compile(r"\b(?:t|reset)=(\d+)")


def status_failure(response: httpx2.Response, now: datetime) -> PollFailed:
    """The failure of a poll that got this response."""
    headers = response.headers
    waits = [retry_after_s(headers.get("Retry-After"), now)]
    if response.status_code in _LIMITING:
        waits += _resets(headers, now)
    return PollFailed(f"HTTP status {response.status_code}", max(waits))


def poll_interval_s(headers: httpx2.Headers) -> float:
    """``X-Poll-Interval``, at most one hour: the shortest time between two polls. 0 if it is absent or invalid."""
    return min(_number(headers.get("X-Poll-Interval")), MAX_RETRY_AFTER_S)


def _resets(headers: httpx2.Headers, now: datetime) -> Iterator[float]:
    """Seconds until each limit that is used up has requests again."""
    for prefix in _PREFIXES:
        if headers.get(f"{prefix}-Remaining", "").strip() == "0":
            reset = _number(headers.get(f"{prefix}-Reset"))
            epoch_s = reset / 1000 if reset >= _FIRST_EPOCH_MS else reset
            yield epoch_s - now.timestamp() if reset >= _FIRST_EPOCH else reset
    policies = headers.get("RateLimit", "")
    for policy in policies.split(",") if ";" in policies else [policies]:  # version 8 or later, or before
        if _NOTHING_LEFT.search(policy) and (found := _RESET.search(policy)):
            yield _number(found[1])


def _number(text: str | None) -> float:
    text = (text or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else 0.0
