"""Read the conditions in the status of any Kubernetes object. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from adapter.contract.formats import Json, format_time, is_time, parse_time
from hooks.names import list_in

Object = dict[str, Any]
LENGTH = len("2026-01-31T12:00:00Z")  # most times are in this form already


def transition_time(status: Json, type: str, wanted: str) -> datetime | None:
    """When the condition ``type`` changed to ``wanted``. None if it has another status or no readable time."""
    text = transition_text(status, type, wanted)
    return None if text is None else parse_time(text)


def transition_text(status: Json, type: str, wanted: str) -> str | None:
    """As :func:`transition_time`, in the form of Kubernetes: whole seconds, UTC."""
    old = find(status, type)
    text = old.get("lastTransitionTime") if old and old.get("status") == wanted else None
    if not isinstance(text, str) or not is_time(text):
        return None
    return text if len(text) == LENGTH else format_time(parse_time(text))


def find(status: Json, type: str) -> Object | None:
    """The condition ``type`` in the status of any Kubernetes object, or None."""
    for condition in list_in(status, "conditions"):
        if isinstance(condition, dict) and condition.get("type") == type:
            return condition
    return None
