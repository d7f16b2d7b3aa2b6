"""Read the conditions in the status of any Kubernetes object. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from adapter.contract.formats import Json, parse_time
from hooks.names import list_in

Object = dict[str, Any]


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
    for condition in list_in(status, "conditions"):
        if isinstance(condition, dict) and condition.get("type") == type:
            return condition
    return None
