"""Metacontroller's two ways to apply, and a switch between them: edits arrive, what is dropped goes, idle is idle."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapter.contract.formats import parse_time
from tests.cluster.api import eventually
from tests.cluster.world import DEPLOYMENTS, SOURCES, Home, World, env_of

STRATEGIES = ("dynamic-apply", "server-side-apply")
IDLE_S = 300 if os.environ.get("LONG") else 8
USER = "system:serviceaccount:metacontroller:metacontroller"
READING = ("get", "list", "watch")


@pytest.fixture
def restored(world: World) -> Iterator[None]:
    yield
    apply_with(world, "dynamic-apply")


def apply_with(world: World, strategy: str) -> None:
    world.metacontroller.stop()
    world.metacontroller.start(strategy)


def revisions(home: Home) -> dict[str, str]:
    """How many templates each Deployment has had. Its generation moves with its annotations, too."""
    revision = "deployment.kubernetes.io/revision"
    return {it["metadata"]["name"]: it["metadata"]["annotations"].get(revision, "") for it in home.deployments()}


def live_with_edits(home: Home, source: str) -> None:
    """Something added and dropped again, and a stranger's edit undone."""
    home.edit(source, ceOverrides={"extensions": {"region": "eu"}})
    home.ready(source)
    assert env_of(only(home, source))["K_CE_OVERRIDES"] == '{"extensions":{"region":"eu"}}'
    home.edit(source, ceOverrides=None)
    home.ready(source)
    assert env_of(only(home, source))["K_CE_OVERRIDES"] == ""
    name = only(home, source)["metadata"]["name"]
    home.api.patch(*DEPLOYMENTS, name, {"spec": {"replicas": 3}}, home.namespace)
    eventually(lambda: only(home, source)["spec"]["replicas"], lambda it: it == 1, "one replica", more=home.story)
    home.ready(source)


def only(home: Home, source: str) -> Any:
    labelled = [it for it in home.deployments() if it["metadata"]["labels"]["knative-eventing-source-name"] == source]
    [found] = labelled
    return found


@pytest.mark.usefixtures("restored")
def test_a_source_lives_under_either_strategy_and_through_a_switch(home: Home) -> None:
    home.service()
    for n, strategy in enumerate((STRATEGIES[1], STRATEGIES[0], STRATEGIES[1])):
        apply_with(home.world, strategy)
        before = revisions(home)
        home.source(f"s{n}")
        for name in (f"s{it}" for it in range(n + 1)):
            home.ready(name)
        assert {**revisions(home), **before} == revisions(home)  # the switch itself rolls out nothing
        for name in (f"s{it}" for it in range(n + 1)):
            live_with_edits(home, name)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.timeout(IDLE_S + 240)
def test_a_settled_source_causes_no_call_and_no_write(home: Home, strategy: str, restored: None) -> None:
    apply_with(home.world, strategy)
    home.service()
    for name in ("one", "two", "three"):
        home.source(name)
    for name in ("one", "two", "three"):
        home.ready(name)
    time.sleep(asked_for_s(home))
    quiet = settled(home)
    time.sleep(IDLE_S)  # nothing is to happen: there is nothing to wait for
    assert versions(home) == quiet.versions, home.story("one")
    assert asked(home) == quiet.asked, home.world.gate.last(home.namespace)
    assert writes(home) == quiet.writes
    # And a sync without a cause writes nothing: not even what the API server would take for no change.
    home.api.patch(*SOURCES, "one", {"metadata": {"labels": {"touched": "yes"}}}, home.namespace)
    eventually(lambda: asked(home), lambda it: it > quiet.asked, "a sync", more=home.story)
    assert settled(home).writes == quiet.writes


def asked_for_s(home: Home) -> float:
    """Until the last call is over that an answer asked for while its Deployment was being made."""
    asking = [it for it in list(home.world.gate.exchanges) if it.parent[0] == home.namespace]
    due = [parse_time(it.time).timestamp() + it.response.get("resyncAfterSeconds", 0) for it in asking]
    return max(0.0, max(due) + 2 - time.time())


class Quiet:
    def __init__(self, home: Home) -> None:
        self.versions, self.asked, self.writes = versions(home), asked(home), writes(home)


def settled(home: Home) -> Quiet:
    """Once two looks a second apart are the same: the last rollout's echoes have been heard."""
    last = [Quiet(home)]

    def same() -> bool:
        time.sleep(1)
        last.append(Quiet(home))
        return vars(last[-1]) == vars(last[-2])

    eventually(same, bool, "quiet", more=lambda: str([vars(it) for it in last[-2:]]))
    return last[-1]


def versions(home: Home) -> dict[str, str]:
    objects = [*home.deployments(), *(home.read(name) for name in ("one", "two", "three"))]
    return {f"{it['metadata']['name']}": it["metadata"]["resourceVersion"] for it in objects}


def asked(home: Home) -> int:
    return sum(it.parent[0] == home.namespace for it in list(home.world.gate.exchanges))


def writes(home: Home) -> int:
    """Metacontroller's, in this namespace."""
    mine = [it for it in home.world.plane.audit() if it["user"]["username"] == USER and it["verb"] not in READING]
    return sum((it.get("objectRef") or {}).get("namespace") == home.namespace for it in mine)
