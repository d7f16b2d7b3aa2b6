"""Waits shared by the fault tests: how a source reports a fault, long before the next resync."""

from __future__ import annotations

from tests.cluster.api import Object, eventually
from tests.cluster.namespace import SourceNamespace


def wait_for_fault(ns: SourceNamespace, origin: str, reason: str, *words: str, name: str = "hello") -> str:
    """Wait until Ready is False with this reason, equals the condition ``origin``, and its message holds ``words``.

    Returns the message.
    """

    def wanted(conditions: dict[str, Object]) -> bool:
        ready, copied = (
            {**conditions.get(type, {}), "type": "", "lastTransitionTime": ""} for type in ("Ready", origin)
        )
        expected = ready.get("status") == "False" and ready.get("reason") == reason
        return expected and ready == copied and all(word in ready["message"] for word in words)

    what = f"Ready=False {reason} from {origin}, with {words}"
    seen = eventually(lambda: conditions(ns, name), wanted, what, details=lambda: ns.describe(name))
    return str(seen["Ready"]["message"])


def conditions(ns: SourceNamespace, name: str = "hello") -> dict[str, Object]:
    """All conditions by type, from one read; empty if they describe an older generation."""
    source = ns.read(name)
    status = source.get("status", {})
    current = status.get("observedGeneration") == source["metadata"]["generation"]
    return {condition["type"]: condition for condition in status["conditions"]} if current else {}


def wait_for_sync_error(ns: SourceNamespace, *words: str) -> str:
    """Wait for a SyncError event with these words; return it."""

    def found() -> list[str]:
        return [event for event in ns.events("SyncError") if all(word in event for word in words)]

    what = f"a SyncError event with {words}"
    return str(eventually(found, bool, what, details=ns.describe)[0])
