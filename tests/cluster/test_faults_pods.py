"""DIAGNOSE_PODS: the failure of an adapter's pod becomes the reason of the source within 30 s.

There is no kubelet: the tests write the pod status. The scheduler is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cluster import fake_kubelet
from tests.cluster.control_plane import BY_HAND
from tests.cluster.explained import reasons
from tests.cluster.faults import wait_for_fault
from tests.cluster.local_cluster import IMAGE, LocalCluster
from tests.cluster.namespace import SourceNamespace


@dataclass(frozen=True)
class Symptom:
    waiting: tuple[str, str]  # the kubelet's reason and message
    reason: str
    words: tuple[str, ...]
    ended: dict[str, Any] = field(default_factory=dict)


SYMPTOMS = {
    "image-absent": Symptom(
        ("ErrImagePull", f'failed to pull and unpack image "{IMAGE}": {IMAGE}: not found'),
        "ImagePullBackOff",
        (
            f'cannot pull image "{IMAGE}"',
            "not found; correct the image name, push the image, or set spec.adapter.",
        ),
    ),
    "exits": Symptom(
        ("CrashLoopBackOff", "back-off 10s restarting failed container=receive-adapter"),
        "CrashLoopBackOff",
        ('exited with code 2: K_SINK is "x"; see `kubectl logs --previous -n by-hand samplesource-exits-',),
        {"exitCode": 2, "reason": "Error", "message": 'K_SINK is "x"\n'},
    ),
    "out-of-memory": Symptom(
        ("CrashLoopBackOff", "back-off 10s restarting failed container=receive-adapter"),
        "OOMKilled",
        ("exceeded its memory limit of 128Mi; raise spec.adapter.resources.limits.memory, or ",),
        {"exitCode": 137, "reason": "OOMKilled"},
    ),
    "secret-absent": Symptom(
        ("CreateContainerConfigError", 'secret "queue" not found'),
        "CreateContainerConfigError",
        ('cannot start: secret "queue" not found; create the missing object in namespace by-hand',),
    ),
    "key-absent": Symptom(
        ("CreateContainerConfigError", "couldn't find key token in ConfigMap by-hand/queue"),
        "CreateContainerConfigError",
        ("couldn't find key token in ConfigMap by-hand/queue; create the missing object in namespace by-hand",),
    ),
}


@pytest.mark.parametrize("name", list(SYMPTOMS))
def test_pod_failure_is_the_reason_until_the_pod_runs(by_hand: SourceNamespace, name: str) -> None:
    symptom = SYMPTOMS[name]
    by_hand.source(name)
    pod = fake_kubelet.newest_pod(by_hand, name)
    fake_kubelet.set_waiting(by_hand, pod, *symptom.waiting, symptom.ended)
    pod_name = f"Pod by-hand/{pod['metadata']['name']} "
    wait_for_fault(by_hand, "Deployed", symptom.reason, pod_name, *symptom.words, name=name)
    assert reasons(by_hand, name)[0] == symptom.reason
    fake_kubelet.set_running(by_hand, pod)
    by_hand.wait_until_ready(name)


def test_unschedulable_pod_is_the_reason_until_a_node_fits(ns: SourceNamespace, diagnose_pods: None) -> None:
    def with_node_selector(answer: Any) -> Any:
        for child in answer["children"]:
            child["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
        return answer

    ns.service()
    ns.cluster.hook_proxy.rewrite = with_node_selector
    ns.source()
    wait_for_fault(
        ns, "Deployed", "Unschedulable",
        f"Pod {ns.name}/samplesource-hello-", "0/1 nodes are available", "add a node that fits",
    )  # fmt: skip
    assert reasons(ns)[0] == "Unschedulable"
    ns.add_cleanup(lambda: label_node(ns, None))
    label_node(ns, "fast")
    ns.wait_until_ready()


@pytest.fixture(scope="module")
def diagnose_pods(cluster: LocalCluster) -> Iterator[None]:
    cluster.install(diagnose_pods=True)
    yield
    cluster.install()


@pytest.fixture(scope="module")
def by_hand(cluster: LocalCluster, diagnose_pods: None) -> Iterator[SourceNamespace]:
    """One namespace for the module: its deletion waits for the grace period of its pods."""
    ns = SourceNamespace(cluster, BY_HAND)
    try:
        ns.service()
        yield ns
    finally:
        ns.close()


def label_node(ns: SourceNamespace, disk: str | None) -> None:
    ns.api.patch("v1", "nodes", "fake", {"metadata": {"labels": {"disk": disk}}})
