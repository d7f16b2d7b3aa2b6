"""Faults of the Deployment, reported without reading pods: a stuck rollout, or a name in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hooks.children.names import deployment_name
from hooks.protocol import Parent
from hooks.source import read_source
from tests.cluster import fake_kubelet
from tests.cluster.api import Object
from tests.cluster.control_plane import BY_HAND
from tests.cluster.explained import reasons
from tests.cluster.faults import wait_for_fault
from tests.cluster.local_cluster import DEPLOYMENTS, SOURCES, LocalCluster
from tests.cluster.namespace import SourceNamespace


def test_stuck_rollout_sets_deployed_false_and_keeps_the_old_pod(by_hand: SourceNamespace) -> None:
    by_hand.cluster.hook_proxy.rewrite = with_a_deadline_of_10_s
    by_hand.service()
    by_hand.source()
    first = fake_kubelet.newest_pod(by_hand, "hello")
    fake_kubelet.set_running(by_hand, first)
    by_hand.wait_until_ready()
    by_hand.edit(interval="20s")
    wait_for_fault(
        by_hand, "Deployed", "ProgressDeadlineExceeded",
        'ReplicaSet "samplesource-hello-', "timed out progressing; check its pods, or enable DIAGNOSE_PODS",
    )  # fmt: skip
    assert "ProgressDeadlineExceeded" in reasons(by_hand)
    second = fake_kubelet.newest_pod(by_hand, "hello")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    kept = by_hand.api.get("v1", "pods", first["metadata"]["name"], by_hand.name)
    assert "deletionTimestamp" not in kept["metadata"]
    fake_kubelet.set_running(by_hand, second)
    by_hand.wait_until_ready()


@pytest.mark.parametrize(
    "wait",
    [pytest.param(False, id="after an edit"), pytest.param(True, id="at the next resync", marks=pytest.mark.long)],
)
def test_foreign_deployment_with_the_same_name_is_reported_and_not_changed(ns: SourceNamespace, wait: bool) -> None:
    """Metacontroller retries every 30 s, and at once after an edit of the source."""
    source = ns.source()
    wait_for_fault(ns, "SinkProvided", "NotFound")  # without a sink the hook requests no Deployment
    foreign = ns.api.create(foreign_deployment(ns, deployment_name(read_source(Parent.model_validate(source)))))
    ns.service()
    wait_for_fault(
        ns, "Deployed", "DeploymentNotCreated",
        f"Deployment {foreign['metadata']['name']} could not be created", "another Deployment: delete it, or recreate",
    )  # fmt: skip
    assert reasons(ns)[0] == "DeploymentNameTaken"
    assert ns.events("SyncError") == []  # Metacontroller creates no event in this case
    [kept] = ns.deployments()
    own = ("uid", "labels", "generation")
    assert [kept["metadata"][field] for field in own] == [foreign["metadata"][field] for field in own]
    assert "ownerReferences" not in kept["metadata"]
    ns.api.delete(*DEPLOYMENTS, foreign["metadata"]["name"], ns.name)
    if not wait:
        ns.api.patch(*SOURCES, "hello", {"metadata": {"labels": {"look": "now"}}}, ns.name)
    ns.wait_until_ready()


@pytest.fixture
def by_hand(cluster: LocalCluster) -> Iterator[SourceNamespace]:
    ns = SourceNamespace(cluster, BY_HAND)
    try:
        yield ns
    finally:
        ns.close()


def with_a_deadline_of_10_s(answer: Any) -> Any:
    for child in answer["children"]:
        child["spec"]["progressDeadlineSeconds"] = 10
    return answer


def foreign_deployment(ns: SourceNamespace, name: str) -> Object:
    labels = {"app": "foreign"}
    container = {"name": "foreign", "image": "registry.local/foreign:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": ns.name, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
