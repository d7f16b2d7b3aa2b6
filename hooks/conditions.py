"""Verdicts -> conditions, Ready, transition times. Pure; the time is a parameter.

``lastTransitionTime`` moves only when ``status`` flips, so that a status fed back gives the same bytes
(design decision 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from adapter.contract.formats import format_time, parse_time
from hooks.names import get_in
from hooks.protocol import Object


@dataclass(frozen=True)
class Verdict:
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""


def ready(*dependents: Verdict) -> Verdict:
    """The first False, else the first Unknown, else True."""
    for status in ("False", "Unknown"):
        for verdict in dependents:
            if verdict.status == status:
                return Verdict("Ready", verdict.status, verdict.reason, verdict.message)
    return Verdict("Ready", "True")


def update(old_status: Any, verdicts: list[Verdict], *, now: datetime) -> list[Object]:
    """Conditions sorted by type, keeping the old transition time of every status that did not flip."""
    return [_condition(verdict, old_status, now) for verdict in sorted(verdicts, key=lambda verdict: verdict.type)]


def transition_time(status: Any, type: str, wanted: str) -> datetime | None:
    """When condition ``type`` last turned to ``wanted``, or None if it stands elsewhere or its time is unreadable."""
    old = find(status, type)
    if old is None or old.get("status") != wanted:
        return None
    try:
        return parse_time(str(old.get("lastTransitionTime")))
    except ValueError:
        return None


def find(status: Any, type: str) -> Object | None:
    conditions = get_in(status, "conditions")
    if not isinstance(conditions, list):
        return None
    return next((one for one in conditions if isinstance(one, dict) and one.get("type") == type), None)


def _condition(verdict: Verdict, old_status: Any, now: datetime) -> Object:
    since = transition_time(old_status, verdict.type, verdict.status) or now
    condition = {"type": verdict.type, "status": verdict.status, "lastTransitionTime": format_time(since)}
    if verdict.reason:
        condition |= {"reason": verdict.reason, "message": verdict.message}
    return condition
