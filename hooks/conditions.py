"""Conditions: their types and reasons, ``Ready``, and transition times. Pure; the time is a parameter.

``lastTransitionTime`` changes only when ``status`` changes. So repeated syncs without a change return the same status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from adapter.contract.formats import Json, format_time, parse_time
from hooks.names import list_in
from hooks.protocol import Object
from hooks.status import Condition


class ConditionType(StrEnum):
    READY = "Ready"
    SINK_PROVIDED = "SinkProvided"
    DEPLOYED = "Deployed"
    DEAD_LETTER_SINK_RESOLVED = "DeadLetterSinkResolved"  # Ready does not depend on it


class Reason(StrEnum):
    """The reasons that the hook sets. ``Deployed`` can also repeat a reason of the Deployment or of a pod."""

    # SinkProvided and DeadLetterSinkResolved
    SINK_MISSING = "SinkMissing"
    INVALID_SINK = "InvalidSink"
    SINK_KIND_NOT_ALLOWED = "SinkKindNotAllowed"
    SINK_NAMESPACE_NOT_ALLOWED = "SinkNamespaceNotAllowed"
    NOT_FOUND = "NotFound"
    NOT_ADDRESSABLE = "NotAddressable"
    ADDRESS_NOT_FOUND = "AddressNotFound"
    ADDRESS_INVALID = "AddressInvalid"
    # Deployed
    SUSPENDED = "Suspended"
    SINK_NOT_RESOLVED = "SinkNotResolved"
    ADAPTER_STARTING = "AdapterStarting"
    ADAPTER_UPDATING = "AdapterUpdating"
    DEPLOYMENT_UNAVAILABLE = "DeploymentUnavailable"
    DEPLOYMENT_NOT_CREATED = "DeploymentNotCreated"
    # Deployed, with DIAGNOSE_PODS
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    POD_FAILED = "PodFailed"
    # Ready
    INVALID_SPEC = "InvalidSpec"


@dataclass(frozen=True)
class ConditionState:
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
    return [_condition(state, old_status, now) for state in sorted(states, key=lambda state: state.type)]


def transition_time(status: Json, type: str, wanted: str) -> datetime | None:
    """When the condition ``type`` changed to ``wanted``. None if it has another status or no readable time."""
    old = find(status, type)
    if old is None or old.get("status") != wanted:
        return None
    try:
        return parse_time(str(old.get("lastTransitionTime")))
    except ValueError:
        return None


def find(status: Json, type: str) -> Object | None:
    """The condition ``type`` in the status of any Kubernetes object, or None."""
    conditions = (condition for condition in list_in(status, "conditions") if isinstance(condition, dict))
    return next((condition for condition in conditions if condition.get("type") == type), None)


def _condition(state: ConditionState, old_status: Json, now: datetime) -> Condition:
    since = transition_time(old_status, state.type, state.status) or now
    # str() because to_json takes twice as long for an enum.
    condition: Condition = {"type": str(state.type), "status": state.status, "lastTransitionTime": format_time(since)}
    if state.reason:
        condition |= {"reason": str(state.reason), "message": state.message}
    return condition
