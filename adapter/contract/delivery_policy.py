"""``spec.delivery``: how often and how long the adapter tries to deliver an event. Pure.

Names and meanings are those of Knative's ``DeliverySpec`` (eventing ``delivery_types.go``) and ``kncloudevents``:
linear waits are delay * n, exponential waits delay * 2^n. Additions: full jitter, a maximum wait, and defaults that
keep retrying while a sink restarts for two minutes. The hook computes the grace period of the pod from the timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from adapter.contract.durations import parse_iso_duration
from adapter.contract.formats import Json, quoted

T = TypeVar("T")
LONGEST_WAIT_S = 30.0  # between two attempts, unless backoffDelay itself is longer
RETRIES, BACKOFF_DELAY, TIMEOUT, CONNECT_TIMEOUT, RETRY_AFTER_MAX = 30, "PT0.1S", "PT10S", "PT1.5S", "PT5M"
MOST_RETRIES, LONGEST_TIMEOUT_S, LONGEST_DELAY_S = 1000, 600.0, 3600.0


@dataclass(frozen=True, kw_only=True)
class Policy:
    """``spec.delivery`` in seconds and counts. The defaults apply to a source without ``spec.delivery``."""

    retry: int = RETRIES
    backoff_policy: Literal["exponential", "linear"] = "exponential"
    backoff_delay_s: float = 0.1
    timeout_s: float = 10.0
    connect_timeout_s: float = 1.5
    retry_after_max_s: float = 300.0

    def waits(self) -> Iterator[float]:
        """The maximum wait before each retry, in seconds. Full jitter draws the actual wait from zero to it."""
        yield from map(self.wait_s, range(1, self.retry + 1))

    def wait_s(self, n: int) -> float:
        """The maximum wait after the n-th failure in a row, in seconds."""
        # 2^64 exceeds every limit already; larger powers would not fit into a float.
        factor = n if self.backoff_policy == "linear" else 2 ** min(n, 64)
        return min(self.backoff_delay_s * factor, max(LONGEST_WAIT_S, self.backoff_delay_s))


def read_policy(delivery: Mapping[str, Json], *, timeout_s: float = 10.0) -> Policy:
    """Read ``spec.delivery``. ``ValueError`` names the field, its value and what to write.

    ``timeout_s``: the timeout of an attempt if ``timeout`` is not set.
    """
    known = {"retry", "backoffPolicy", "backoffDelay", "timeout", "connectTimeout", "retryAfterMax", "deadLetterSink"}
    for name in delivery:
        if name not in known:
            raise ValueError(f"{name} is not a field; the fields are {', '.join(sorted(known))}")
    read: dict[str, Any] = {
        "retry": _field(delivery, "retry", _count),
        "backoff_policy": _field(delivery, "backoffPolicy", _policy),
        "backoff_delay_s": _field(delivery, "backoffDelay", lambda text: _seconds(text, LONGEST_DELAY_S)),
        "timeout_s": _field(delivery, "timeout", _timeout) or timeout_s,
        "connect_timeout_s": _field(delivery, "connectTimeout", _timeout),
        "retry_after_max_s": _field(delivery, "retryAfterMax", lambda text: _seconds(text, LONGEST_DELAY_S)),
    }
    return Policy(**{name: value for name, value in read.items() if value is not None})


def _field(delivery: Mapping[str, Json], name: str, read: Callable[[Any], T]) -> T | None:
    value = delivery.get(name)
    if value is None:
        return None
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{name} is {quoted(value)}: {error}") from None


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_RETRIES:
        raise ValueError(f"write a whole number from 0 to {MOST_RETRIES}")
    return value


def _policy(value: Any) -> str:
    if value not in ("exponential", "linear"):
        raise ValueError("write exponential or linear")
    return str(value)


def _timeout(value: Any) -> float:
    return _seconds(value, LONGEST_TIMEOUT_S, positive=True)


def _seconds(value: Any, most_s: float, *, positive: bool = False) -> float:
    if not isinstance(value, str):
        raise ValueError("write an ISO 8601 duration in quotes, like PT10S")
    seconds = parse_iso_duration(value) / 1e9
    if seconds > most_s or (positive and seconds < 0.001):
        least = "1 ms" if positive else "0"
        raise ValueError(f"write an ISO 8601 duration from {least} to {most_s:.0f} s, like PT10S")
    return seconds
