"""Run Metacontroller with one of its apply strategies, and edit sources under it."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import eventually
from tests.cluster.world import DEPLOYMENTS, Home, World, env_of

STRATEGIES = ("dynamic-apply", "server-side-apply")
USER = "system:serviceaccount:metacontroller:metacontroller"


def apply_with(world: World, strategy: str) -> None:
    world.metacontroller.stop()
    world.metacontroller.start(strategy)


def live_with_edits(home: Home, source: str) -> None:
    """Add a field, remove it again, and change the Deployment as another client: the change is reverted."""
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
