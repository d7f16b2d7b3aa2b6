"""DIAGNOSE_PODS: the state of a failed pod becomes the reason and message of Deployed."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.children.deployment import TEMPLATE_HASH
from hooks.conditions import ConditionState, ConditionType
from hooks.controller import KindOptions, customize
from hooks.pods import with_pod_diagnosis
from hooks.protocol import CustomizeRequest
from hooks.settings import Settings
from tests.unit.hooks.hook import SERVICE_SINK, SETTINGS, answer, condition, parent, service

PULL = "; correct the image name, push the image, or set spec.adapter.imagePullSecrets"
MEMORY = "; raise spec.adapter.resources.limits.memory, or make the source keep less data in memory"
FIT = "; add a node that fits, or change spec.adapter.tolerations, nodeSelector, affinity or resources"

WANTED = {"metadata": {"annotations": {TEMPLATE_HASH: "abc"}}}


def pod(
    state: Any = None, *, last: Any = None, hash: str = "abc", ready: bool = False, deleted: str = "", **status: Any
) -> dict[str, Any]:
    container = {
        "name": "receive-adapter",
        "image": "i:1",
        "ready": ready,
        "state": state or {},
        "lastState": last or {},
    }
    limits = {"name": "receive-adapter", "resources": {"limits": {"memory": "128Mi"}}}
    return {
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "annotations": {TEMPLATE_HASH: hash},
            "deletionTimestamp": deleted,
        },
        "spec": {"containers": [limits]},
        "status": {"containerStatuses": [container], **status},
    }


def state(status: Any, reason: str = "", message: str = "") -> ConditionState:
    return ConditionState(ConditionType.DEPLOYED, status, reason, message)


STARTING = state("Unknown", "AdapterStarting", "Deployment d is starting its adapter")
UNAVAILABLE = state("False", "DeploymentUnavailable", "Deployment d is unavailable; look at its pods")


def diagnosed(*pods: dict[str, Any], deployed: ConditionState = STARTING) -> ConditionState:
    related = {"Pod.v1": {f"ns/p{n}": pod for n, pod in enumerate(pods)}}
    return with_pod_diagnosis(deployed, WANTED, related)


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("broken", "reason", "message"),
    [
        pytest.param(
            pod(waiting("ErrImagePull", "not found")), "ImagePullBackOff",
            'Pod ns/p0 cannot pull image "i:1": not found' + PULL, id="pull",
        ),
        pytest.param(
            pod(waiting("ImagePullBackOff", 'Back-off pulling image "i:1": ErrImagePull: not found')),
            "ImagePullBackOff",
            'Pod ns/p0 cannot pull image "i:1": not found' + PULL, id="pull again",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError", 'secret "s" not found')), "CreateContainerConfigError",
            'Pod ns/p0 cannot start: secret "s" not found; create the missing object in namespace ns', id="secret",
        ),
        pytest.param(
            pod(waiting("RunContainerError", 'exec: "python": not found')), "RunContainerError",
            'Pod ns/p0 cannot start: exec: "python": not found; check the image', id="command",
        ),
        pytest.param(
            pod(waiting("CrashLoopBackOff", "back-off 40s"), last=terminated(2, message="noise\nK_SINK is bad\n")),
            "CrashLoopBackOff",
            "Pod ns/p0 exited with code 2: K_SINK is bad; see `kubectl logs --previous -n ns p`", id="crash",
        ),
        pytest.param(
            pod(terminated(1, message='{"msg": "the source failed", "at": "a.py:9", "error": "KeyError: 1"}')),
            "CrashLoopBackOff",
            "Pod ns/p0 exited with code 1: the source failed at a.py:9: KeyError: 1; "
            "see `kubectl logs --previous -n ns p`", id="log line",
        ),
        pytest.param(
            pod(terminated(1)), "CrashLoopBackOff",
            "Pod ns/p0 exited with code 1: Error; see `kubectl logs --previous -n ns p`", id="first crash",
        ),
        pytest.param(
            pod({"running": {}}, last=terminated(137, "OOMKilled")), "OOMKilled",
            "Pod ns/p0 was killed: it exceeded its memory limit of 128Mi" + MEMORY,
            id="memory",
        ),
        pytest.param(
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available."}]),
            "Unschedulable",
            "Pod ns/p0 cannot be scheduled: 0/1 nodes are available" + FIT,
            id="node",
        ),
        pytest.param(
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": '0/1 nodes are available: persistentvolumeclaim "positions" not found.',
                    }
                ]
            ),
            "Unschedulable",
            'Pod ns/p0 cannot be scheduled: 0/1 nodes are available: persistentvolumeclaim "positions" not found; '
            "create the PersistentVolumeClaim in the namespace, or see `kubectl describe pvc` why it is not bound",
            id="claim",
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="The node was low on memory."), "Evicted",
            "Pod ns/p0 failed: The node was low on memory.", id="evicted",
        ),
    ],
)  # fmt: skip
def test_state_of_a_failed_pod_becomes_reason_and_message(broken: dict[str, Any], reason: str, message: str) -> None:
    assert diagnosed(broken) == state("False", reason, message)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pod(waiting("ContainerCreating")), id="being created"),
        pytest.param(pod({"running": {}}), id="starting"),
        pytest.param(pod({"running": {}}, last=terminated(1), ready=True), id="recovered"),
        pytest.param(pod(waiting("ErrImagePull"), hash="old"), id="of an older template"),
        pytest.param({"metadata": {"annotations": {TEMPLATE_HASH: "abc"}}, "status": None}, id="no status yet"),
        pytest.param(pod(waiting("ErrImagePull"), deleted="2026-01-01T00:00:00Z"), id="being deleted"),
    ],
)
def test_other_pods_do_not_change_the_condition(other: dict[str, Any]) -> None:
    assert diagnosed(other) == STARTING


def test_message_names_the_secrets_and_claims_of_a_pod_that_waits_for_its_files() -> None:
    """The kubelet reports a Secret that is missing, and a volume that it cannot attach, in events only."""
    waits = pod(waiting("ContainerCreating"))
    waits["spec"]["volumes"] = [
        {"name": "a", "secret": {"secretName": "client"}},
        {"name": "b", "secret": {"secretName": "may-be-missing", "optional": True}},
        {"name": "c", "configMap": {"name": "bundle"}},
    ]
    text = (
        "Pod ns/p0 waits for its files; create Secret client in namespace ns if missing; see "
        "`kubectl describe pod -n ns p`"
    )
    assert diagnosed(waits, deployed=UNAVAILABLE) == state("False", "DeploymentUnavailable", text)
    assert diagnosed(waits) == STARTING
    waits["spec"]["volumes"].append({"name": "d", "persistentVolumeClaim": {"claimName": "positions"}})
    text = text.replace("Secret client", "Secret client and PersistentVolumeClaim positions")
    assert diagnosed(waits, deployed=UNAVAILABLE) == state("False", "DeploymentUnavailable", text)
    waits["spec"]["volumes"] = []
    assert diagnosed(waits, deployed=UNAVAILABLE) == UNAVAILABLE


def test_message_points_to_the_log_of_an_unready_pod_after_the_deployment_failed() -> None:
    unready = pod({"running": {}})
    text = "Pod ns/p0 is running but not ready; see its log: `kubectl logs -n ns p`"
    assert diagnosed(unready, deployed=UNAVAILABLE) == state("False", "DeploymentUnavailable", text)
    assert diagnosed(unready, pod(terminated(1)), deployed=UNAVAILABLE).reason == "CrashLoopBackOff"
    assert diagnosed(pod({"running": {}}, ready=True), deployed=UNAVAILABLE) == UNAVAILABLE
    assert diagnosed(pod({"running": {}}, hash="old"), deployed=UNAVAILABLE) == UNAVAILABLE


def test_message_says_since_when_the_pod_is_not_ready() -> None:
    unready = pod({"running": {}})
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-31T12:00:00Z"}
    unready["status"]["conditions"] = [ready]
    text = "Pod ns/p0 is running but not ready since 2026-01-31T12:00:00Z; see its log: `kubectl logs -n ns p`"
    assert diagnosed(unready, deployed=UNAVAILABLE) == state("False", "DeploymentUnavailable", text)
    ready["lastTransitionTime"] = "yesterday"
    assert "not ready; see" in diagnosed(unready, deployed=UNAVAILABLE).message


def test_one_failed_pod_sets_deployed_to_false_unless_it_is_true() -> None:
    broken = pod(waiting("ErrImagePull", "not found"))
    assert diagnosed(pod({"running": {}}, ready=True), broken).reason == "ImagePullBackOff"
    assert diagnosed(broken, deployed=state("True")) == state("True")


def test_long_message_is_shortened() -> None:
    assert len(diagnosed(pod(waiting("ErrImagePull", "x" * 9000))).message) < 800


def test_pods_are_requested_only_with_diagnose_pods() -> None:
    request = CustomizeRequest.model_validate({"parent": parent({"sink": SERVICE_SINK})})
    rule = {
        "apiVersion": "v1",
        "resource": "pods",
        "namespace": "ns",
        "labelSelector": {
            "matchLabels": {
                "knative-eventing-source": "sample-source-controller",
                "knative-eventing-source-name": "hello",
            }
        },
    }
    setting = Settings(adapter_image="a:1", diagnose_pods=True)
    assert rule not in customize(request, SETTINGS)["relatedResources"]
    assert rule in customize(request, setting)["relatedResources"]
    assert rule in customize(request, SETTINGS, options=KindOptions(diagnose_pods=True))["relatedResources"]
    assert rule not in customize(request, setting, options=KindOptions(diagnose_pods=False))["relatedResources"]


@pytest.mark.parametrize("diagnose", [True, False])
def test_response_contains_the_diagnosis_only_with_diagnose_pods(diagnose: bool) -> None:
    options = KindOptions(diagnose_pods=diagnose)
    [wanted] = answer({"sink": SERVICE_SINK}, related=service(), options=options)["children"]
    hash = wanted["spec"]["template"]["metadata"]["annotations"][TEMPLATE_HASH]
    related = {**service(), "Pod.v1": {"ns/p": pod(waiting("ErrImagePull", "not found"), hash=hash)}}
    children = {"Deployment.apps/v1": {f"ns/{wanted['metadata']['name']}": wanted}}
    response = answer({"sink": SERVICE_SINK}, related=related, children=children, options=options)
    expected = ("False", "ImagePullBackOff") if diagnose else ("Unknown", "AdapterStarting")
    assert condition(response, "Ready") == expected
