"""How long and how often a delivery is tried: ``spec.delivery``, with Knative's names and meanings. Pure.

Part of the seam: the hook derives the pod's grace period from it, the adapter the attempts. Source: Knative's
``DeliverySpec`` (eventing ``delivery_types.go``) and ``kncloudevents`` (linear: delay * n, exponential: delay * 2^n).
Beyond Knative: full jitter, a longest wait, and defaults that outlast a sink's restart of two minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from adapter.contract.durations import parse_iso_duration

T = TypeVar("T")
LONGEST_WAIT_S = 30.0  # between two attempts, where backoffDelay itself is not longer
RETRIES, BACKOFF_DELAY, TIMEOUT, RETRY_AFTER_MAX = 30, "PT0.1S", "PT10S", "PT5M"
MOST_RETRIES, LONGEST_TIMEOUT_S, LONGEST_DELAY_S = 1000, 600.0, 3600.0
LEAVE_S = 2.0  # after SIGTERM, for a source to take leave of those who call it
DRAIN_MARGIN_S = 10.0  # after SIGTERM, beside one whole attempt
CLOSE_S = 10.0  # for the source to take note and to clean up


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Seconds and counts; the defaults are those of a source without ``spec.delivery``."""

    retry: int = RETRIES
    backoff_policy: Literal["exponential", "linear"] = "exponential"
    backoff_delay_s: float = 0.1
    timeout_s: float = 10.0
    retry_after_max_s: float = 300.0

    def waits(self) -> Iterator[float]:
        """The longest wait before each retry; full jitter draws from zero to it."""
        longest = max(LONGEST_WAIT_S, self.backoff_delay_s)
        for n in range(1, self.retry + 1):
            # 2^64 times any delay is beyond every bound; Python would go on to numbers no float holds.
            factor = n if self.backoff_policy == "linear" else 2 ** min(n, 64)
            yield min(self.backoff_delay_s * factor, longest)

    @property
    def budget_s(self) -> float:
        """No delivery takes longer, ``Retry-After`` included."""
        return (self.retry + 1) * self.timeout_s + sum(max(wait, self.retry_after_max_s) for wait in self.waits())

    @property
    def drain_s(self) -> float:
        """After SIGTERM: one whole attempt, and some time for retries."""
        return self.timeout_s + DRAIN_MARGIN_S

    def grace_s(self, *, dead_letter: bool) -> int:
        """What a pod needs between SIGTERM and SIGKILL: drain, one attempt at the dead letter sink, cleaning up."""
        return round(self.drain_s + (self.timeout_s if dead_letter else 0) + CLOSE_S)


def read_policy(delivery: Mapping[str, Any], *, timeout_s: float = 10.0) -> Policy:
    """From ``spec.delivery``; ``ValueError`` names the field, its value and what to write.

    ``timeout_s``: where ``timeout`` is not set.
    """
    known = {"retry", "backoffPolicy", "backoffDelay", "timeout", "retryAfterMax", "deadLetterSink"}
    for name in delivery:
        if name not in known:
            raise ValueError(f"{name}: there is no such field; write some of {', '.join(sorted(known))}")
    read: dict[str, Any] = {
        "retry": _field(delivery, "retry", _count),
        "backoff_policy": _field(delivery, "backoffPolicy", _policy),
        "backoff_delay_s": _field(delivery, "backoffDelay", lambda it: _seconds(it, LONGEST_DELAY_S)),
        "timeout_s": _field(delivery, "timeout", lambda it: _seconds(it, LONGEST_TIMEOUT_S, positive=True))
        or timeout_s,
        "retry_after_max_s": _field(delivery, "retryAfterMax", lambda it: _seconds(it, LONGEST_DELAY_S)),
    }
    return Policy(**{name: value for name, value in read.items() if value is not None})


def _field(delivery: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> T | None:
    value = delivery.get(name)
    if value is None:
        return None
    try:
        return read(value)
    except ValueError as error:
        shown = f'"{value}"' if isinstance(value, str) else repr(value)
        raise ValueError(f"{name} is {shown}: {error}") from None


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_RETRIES:
        raise ValueError(f"write a whole number from 0 to {MOST_RETRIES}")
    return value


def _policy(value: Any) -> str:
    if value not in ("exponential", "linear"):
        raise ValueError("write exponential or linear")
    return str(value)


def _seconds(value: Any, most_s: float, *, positive: bool = False) -> float:
    if not isinstance(value, str):
        raise ValueError("write an ISO 8601 duration in quotes, like PT10S")
    seconds = parse_iso_duration(value) / 1e9
    if seconds > most_s or (positive and seconds < 0.001):
        least = "1 ms" if positive else "0"
        raise ValueError(f"write an ISO 8601 duration from {least} to {most_s:.0f} s, like PT10S")
    return seconds
