"""Read the conditions in the status of any Kubernetes object. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from adapter.contract.formats import Json, is_time, parse_time
from hooks.names import list_in

Object = dict[str, Any]


def transition_time(status: Json, type: str, wanted: str) -> datetime | None:
    """When the condition ``type`` changed to ``wanted``. None if it has another status or no readable time."""
    text = transition_text(status, type, wanted)
    return None if text is None else parse_time(text)


def transition_text(status: Json, type: str, wanted: str) -> str | None:
    """As :func:`transition_time`, as it is written there."""
    old = find(status, type)
    text = old.get("lastTransitionTime") if old and old.get("status") == wanted else None
    return text if isinstance(text, str) and is_time(text) else None


def find(status: Json, type: str) -> Object | None:
    """The condition ``type`` in the status of any Kubernetes object, or None."""
    for condition in list_in(status, "conditions"):
        if isinstance(condition, dict) and condition.get("type") == type:
            return condition
    return None
