"""DIAGNOSE_PODS: the failure of an adapter's pod becomes the reason of the source within 30 s.

There is no kubelet: the tests write the pod status. The scheduler is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cluster import kubelet
from tests.cluster.faults import says
from tests.cluster.plane import BY_HAND
from tests.cluster.world import IMAGE, Home, World


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
        (f'cannot pull image "{IMAGE}"', "not found; correct the image's name, or push it"),
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
        ("needs more memory than its limit of 128Mi; have the source hold less at a time",),
        {"exitCode": 137, "reason": "OOMKilled"},
    ),
    "secret-absent": Symptom(
        ("CreateContainerConfigError", 'secret "queue" not found'),
        "CreateContainerConfigError",
        ('cannot start: secret "queue" not found; create what it needs in namespace by-hand',),
    ),
    "key-absent": Symptom(
        ("CreateContainerConfigError", "couldn't find key token in ConfigMap by-hand/queue"),
        "CreateContainerConfigError",
        ("couldn't find key token in ConfigMap by-hand/queue; create what it needs in namespace by-hand",),
    ),
}


@pytest.mark.parametrize("name", list(SYMPTOMS))
def test_pod_failure_is_the_reason_until_the_pod_runs(by_hand: Home, name: str) -> None:
    symptom = SYMPTOMS[name]
    by_hand.source(name)
    pod = kubelet.newest_pod(by_hand, name)
    kubelet.wait(by_hand, pod, *symptom.waiting, symptom.ended)
    place = f"Pod by-hand/{pod['metadata']['name']} "
    says(by_hand, "Deployed", symptom.reason, place, *symptom.words, name=name)
    kubelet.run(by_hand, pod)
    by_hand.ready(name)


def test_unschedulable_pod_is_the_reason_until_a_node_fits(home: Home, diagnosing: None) -> None:
    def picky(answer: Any) -> Any:
        for child in answer["children"]:
            child["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
        return answer

    home.service()
    home.world.gate.rewrite = picky
    home.source()
    says(
        home, "Deployed", "Unschedulable",
        f"Pod {home.namespace}/samplesource-hello-", "0/1 nodes are available", "add a node it fits on",
    )  # fmt: skip
    home.afterwards(lambda: label_node(home, None))
    label_node(home, "fast")
    home.ready()


@pytest.fixture(scope="module")
def diagnosing(world: World) -> Iterator[None]:
    world.install(diagnose_pods=True)
    yield
    world.install()


@pytest.fixture(scope="module")
def by_hand(world: World, diagnosing: None) -> Iterator[Home]:
    """One namespace for the module: its deletion waits for the grace period of its pods."""
    home = Home(world, BY_HAND)
    try:
        home.service()
        yield home
    finally:
        home.close()


def label_node(home: Home, disk: str | None) -> None:
    home.api.patch("v1", "nodes", "fake", {"metadata": {"labels": {"disk": disk}}})
