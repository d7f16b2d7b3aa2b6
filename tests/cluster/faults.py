"""Waits shared by the fault tests: how a source reports a fault, and within which time."""

from __future__ import annotations

from tests.cluster.api import Object, eventually
from tests.cluster.world import Home

WITHIN_S = 30.0  # from the fault to the reason


def says(home: Home, origin: str, reason: str, *words: str, name: str = "hello") -> str:
    """Wait until Ready is False with this reason, equals the condition ``origin``, and its message holds ``words``.

    Returns the message.
    """

    def wanted(conditions: dict[str, Object]) -> bool:
        ready, copied = ({**conditions.get(it, {}), "type": "", "lastTransitionTime": ""} for it in ("Ready", origin))
        told = ready.get("status") == "False" and ready.get("reason") == reason
        return told and ready == copied and all(it in ready["message"] for it in words)

    what = f"Ready=False {reason} from {origin}, with {words}"
    seen = eventually(lambda: conditions(home, name), wanted, what, deadline_s=WITHIN_S, more=lambda: home.story(name))
    return str(seen["Ready"]["message"])


def conditions(home: Home, name: str = "hello") -> dict[str, Object]:
    """All conditions by type, from one read; empty if they describe an older generation."""
    source = home.read(name)
    status = source.get("status", {})
    current = status.get("observedGeneration") == source["metadata"]["generation"]
    return {it["type"]: it for it in status["conditions"]} if current else {}


def sync_error(home: Home, *words: str) -> str:
    """Wait for a SyncError event with these words; return it."""

    def found() -> list[str]:
        return [it for it in home.events("SyncError") if all(word in it for word in words)]

    what = f"a SyncError event with {words}"
    return str(eventually(found, bool, what, deadline_s=WITHIN_S, more=home.story)[0])
