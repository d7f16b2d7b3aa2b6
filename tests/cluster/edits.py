"""Edit a source and watch how its condition Ready changes."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import eventually
from tests.cluster.namespace import SourceNamespace


def ready_statuses_after_edit(ns: SourceNamespace, name: str = "hello", /, **edit: Any) -> list[str]:
    """Edit a source; return the statuses of Ready from the first one for the new generation to True."""
    with ns.api.watch(*ns.sources, ns.name) as seen:
        ns.edit(name, **edit)
        observed = eventually(
            lambda: statuses_of_ready(seen),
            lambda value: value[-1:] == ["True"],
            f"Ready after {edit}",
            details=lambda: ns.describe(name),
        )
    return list(observed)


def statuses_of_ready(seen: list[Any]) -> list[str]:
    """The statuses of Ready for the newest generation, in order, without repetitions."""
    newest = max((source["metadata"]["generation"] for source in seen), default=0)
    observed = [source["status"] for source in seen if source.get("status", {}).get("observedGeneration") == newest]
    statuses = [
        next(condition["status"] for condition in status["conditions"] if condition["type"] == "Ready")
        for status in observed
    ]
    return [status for n, status in enumerate(statuses) if n == 0 or statuses[n - 1] != status]
