"""Both apply strategies of Metacontroller, and a switch between them: edits, reverted changes, and idle sources."""

from __future__ import annotations

import os
import time

import pytest

from adapter.contract.formats import parse_time
from tests.cluster.api import eventually
from tests.cluster.strategies import STRATEGIES, USER, apply_with, live_with_edits
from tests.cluster.world import SOURCES, Home

IDLE_S = 300 if os.environ.get("LONG") else 8
READING = ("get", "list", "watch")


def revisions(home: Home) -> dict[str, str]:
    """The number of pod templates that each Deployment has had. Its generation also counts changed annotations."""
    revision = "deployment.kubernetes.io/revision"
    return {it["metadata"]["name"]: it["metadata"]["annotations"].get(revision, "") for it in home.deployments()}


@pytest.mark.usefixtures("restored")
def test_sources_work_under_both_strategies_and_after_a_switch(home: Home) -> None:
    home.service()
    for n, strategy in enumerate((STRATEGIES[1], STRATEGIES[0], STRATEGIES[1])):
        apply_with(home.world, strategy)
        before = revisions(home)
        home.source(f"s{n}")
        for name in (f"s{it}" for it in range(n + 1)):
            home.ready(name)
        assert {**revisions(home), **before} == revisions(home)  # the switch causes no rollout
        for name in (f"s{it}" for it in range(n + 1)):
            live_with_edits(home, name)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.timeout(IDLE_S + 240)
def test_idle_sources_cause_no_hook_call_and_no_write(home: Home, strategy: str, restored: None) -> None:
    apply_with(home.world, strategy)
    home.service()
    for name in ("one", "two", "three"):
        home.source(name)
    for name in ("one", "two", "three"):
        home.ready(name)
    due = "the last sync that an answer requested with resyncAfterSeconds"
    eventually(lambda: requested_sync_time(home) < time.time(), bool, due, deadline_s=120)
    quiet = settled(home)
    time.sleep(IDLE_S)  # the time in which nothing may happen
    assert versions(home) == quiet.versions, home.story("one")
    assert asked(home) == quiet.asked, home.world.gate.last(home.namespace)
    assert writes(home) == quiet.writes
    # A sync without a change sends no write, not even one that the API server would treat as no change.
    home.api.patch(*SOURCES, "one", {"metadata": {"labels": {"touched": "yes"}}}, home.namespace)
    eventually(lambda: asked(home), lambda it: it > quiet.asked, "a sync", more=home.story)
    assert settled(home).writes == quiet.writes


def requested_sync_time(home: Home) -> float:
    """When the last sync is over that an answer requested with resyncAfterSeconds, in seconds since the epoch."""
    asking = [it for it in list(home.world.gate.exchanges) if it.parent[0] == home.namespace]
    due = [parse_time(it.time).timestamp() + it.response.get("resyncAfterSeconds", 0) for it in asking]
    return max(due) + 2


class Quiet:
    def __init__(self, home: Home) -> None:
        self.versions, self.asked, self.writes = versions(home), asked(home), writes(home)


def settled(home: Home) -> Quiet:
    """Wait until nothing changes for one second: the syncs after the last rollout are over."""
    last = [Quiet(home)]

    def same() -> bool:
        time.sleep(1)
        last.append(Quiet(home))
        return vars(last[-1]) == vars(last[-2])

    eventually(same, bool, "no change within one second", more=lambda: str([vars(it) for it in last[-2:]]))
    return last[-1]


def versions(home: Home) -> dict[str, str]:
    objects = [*home.deployments(), *(home.read(name) for name in ("one", "two", "three"))]
    return {f"{it['metadata']['name']}": it["metadata"]["resourceVersion"] for it in objects}


def asked(home: Home) -> int:
    return sum(it.parent[0] == home.namespace for it in list(home.world.gate.exchanges))


def writes(home: Home) -> int:
    """The number of Metacontroller's writes in this namespace."""
    mine = [it for it in home.world.plane.audit() if it["user"]["username"] == USER and it["verb"] not in READING]
    return sum((it.get("objectRef") or {}).get("namespace") == home.namespace for it in mine)
