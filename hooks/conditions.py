"""Conditions: their types and reasons, ``Ready``, and transition times. Pure; the time is a parameter.

``lastTransitionTime`` changes only when ``status`` changes. So repeated syncs without a change return the same status.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Literal, NamedTuple

from adapter.contract.formats import Json, format_time
from hooks.diagnosis.observed import transition_text
from hooks.status import Condition


class ConditionType(StrEnum):
    READY = "Ready"
    SINK_PROVIDED = "SinkProvided"
    DEPLOYED = "Deployed"
    DEAD_LETTER_SINK_RESOLVED = "DeadLetterSinkResolved"  # Ready does not depend on it


class ConditionState(NamedTuple):
    """A condition without its transition time. ``reason`` and ``message`` are empty if ``status`` is True."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""


def ready(*dependents: ConditionState) -> ConditionState:
    """``Ready``: a copy of the first condition that is False, else of the first that is Unknown; otherwise True."""
    for status in ("False", "Unknown"):
        for state in dependents:
            if state.status == status:
                return ConditionState(ConditionType.READY, state.status, state.reason, state.message)
    return ConditionState(ConditionType.READY, "True")


def update(old_status: Json, states: list[ConditionState], *, now: datetime) -> list[Condition]:
    """The conditions, sorted by type. Those whose status did not change keep their transition time."""
    return [_condition(state, old_status, now) for state in sorted(states, key=attrgetter("type"))]


def _condition(state: ConditionState, old_status: Json, now: datetime) -> Condition:
    since = transition_text(old_status, state.type, state.status) or format_time(now)
    # str() because to_json takes twice as long for an enum.
    condition: Condition = {"type": str(state.type), "status": state.status, "lastTransitionTime": since}
    if state.reason:
        condition |= {"reason": str(state.reason), "message": state.message}
    return condition
