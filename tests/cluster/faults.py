"""What the tests of the fault matrix share: what a source must say of a fault, and how long it may take."""

from __future__ import annotations

from tests.cluster.api import Object, eventually
from tests.cluster.world import Home

WITHIN_S = 30.0  # from the fault to the reason


def says(home: Home, origin: str, reason: str, *words: str, name: str = "hello") -> str:
    """The message of Ready, once it is False for this reason, copied from ``origin``, and holds the words."""

    def wanted(conditions: dict[str, Object]) -> bool:
        ready, copied = ({**conditions.get(it, {}), "type": "", "lastTransitionTime": ""} for it in ("Ready", origin))
        told = ready.get("status") == "False" and ready.get("reason") == reason
        return told and ready == copied and all(it in ready["message"] for it in words)

    what = f"Ready=False {reason} from {origin}, with {words}"
    seen = eventually(lambda: conditions(home, name), wanted, what, deadline_s=WITHIN_S, more=lambda: home.story(name))
    return str(seen["Ready"]["message"])


def conditions(home: Home, name: str = "hello") -> dict[str, Object]:
    """By type, all of one moment; none where they are about an older generation."""
    source = home.read(name)
    status = source.get("status", {})
    current = status.get("observedGeneration") == source["metadata"]["generation"]
    return {it["type"]: it for it in status["conditions"]} if current else {}


def sync_error(home: Home, *words: str) -> str:
    """The source's SyncError event with these words."""

    def found() -> list[str]:
        return [it for it in home.events("SyncError") if all(word in it for word in words)]

    what = f"a SyncError event with {words}"
    return str(eventually(found, bool, what, deadline_s=WITHIN_S, more=home.story)[0])
