"""Edit a source and watch how its condition Ready changes."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import eventually
from tests.cluster.world import Home


def told_of(home: Home, name: str = "hello", /, **edit: Any) -> list[str]:
    """Edit a source; return the statuses of Ready from the first one for the new generation to True."""
    with home.api.watch(*home.sources, home.namespace) as seen:
        home.edit(name, **edit)
        told = eventually(
            lambda: _statuses(seen),
            lambda it: it[-1:] == ["True"],
            f"Ready after {edit}",
            more=lambda: home.story(name),
        )
    return list(told)


def _statuses(seen: list[Any]) -> list[str]:
    """The statuses of Ready for the newest generation, in order, without repetitions."""
    newest = max((it["metadata"]["generation"] for it in seen), default=0)
    told = [it["status"] for it in seen if it.get("status", {}).get("observedGeneration") == newest]
    statuses = [next(it["status"] for it in status["conditions"] if it["type"] == "Ready") for status in told]
    return [it for n, it in enumerate(statuses) if n == 0 or statuses[n - 1] != it]
