"""Faults of the Deployment, reported without reading pods: a stuck rollout, or a name in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hooks.deployments import deployment_name
from hooks.protocol import Parent
from hooks.source import read_source
from tests.cluster import kubelet
from tests.cluster.api import Object
from tests.cluster.faults import says
from tests.cluster.plane import BY_HAND
from tests.cluster.world import DEPLOYMENTS, SOURCES, Home, World


def test_stuck_rollout_sets_deployed_false_and_keeps_the_old_pod(by_hand: Home) -> None:
    by_hand.world.gate.rewrite = with_a_deadline_of_10_s
    by_hand.service()
    by_hand.source()
    first = kubelet.newest_pod(by_hand, "hello")
    kubelet.run(by_hand, first)
    by_hand.ready()
    by_hand.edit(interval="20s")
    says(
        by_hand, "Deployed", "ProgressDeadlineExceeded",
        'ReplicaSet "samplesource-hello-', "timed out progressing; its pods say why, and with DIAGNOSE_PODS",
    )  # fmt: skip
    second = kubelet.newest_pod(by_hand, "hello")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    kept = by_hand.api.get("v1", "pods", first["metadata"]["name"], by_hand.namespace)
    assert "deletionTimestamp" not in kept["metadata"]
    kubelet.run(by_hand, second)
    by_hand.ready()


@pytest.mark.parametrize(
    "wait",
    [pytest.param(False, id="after an edit"), pytest.param(True, id="at the next resync", marks=pytest.mark.long)],
)
def test_foreign_deployment_with_the_same_name_is_reported_and_not_changed(home: Home, wait: bool) -> None:
    """Metacontroller retries every 30 s, and at once after an edit of the source."""
    source = home.source()
    says(home, "SinkProvided", "NotFound")  # without a sink the hook requests no Deployment
    foreign = home.api.create(foreign_deployment(home, deployment_name(read_source(Parent.model_validate(source)))))
    home.service()
    says(
        home, "Deployed", "DeploymentNotCreated",
        f"Deployment {foreign['metadata']['name']} was wanted", "somebody else's Deployment has the name: delete that",
    )  # fmt: skip
    assert home.events("SyncError") == []  # Metacontroller creates no event in this case
    [kept] = home.deployments()
    own = ("uid", "labels", "generation")
    assert [kept["metadata"][it] for it in own] == [foreign["metadata"][it] for it in own]
    assert "ownerReferences" not in kept["metadata"]
    home.api.delete(*DEPLOYMENTS, foreign["metadata"]["name"], home.namespace)
    if not wait:
        home.api.patch(*SOURCES, "hello", {"metadata": {"labels": {"look": "now"}}}, home.namespace)
    home.ready(deadline_s=60)


@pytest.fixture
def by_hand(world: World) -> Iterator[Home]:
    home = Home(world, BY_HAND)
    try:
        yield home
    finally:
        home.close()


def with_a_deadline_of_10_s(answer: Any) -> Any:
    for child in answer["children"]:
        child["spec"]["progressDeadlineSeconds"] = 10
    return answer


def foreign_deployment(home: Home, name: str) -> Object:
    labels = {"app": "foreign"}
    container = {"name": "foreign", "image": "registry.local/foreign:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": home.namespace, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
