"""DIAGNOSE_PODS: what the adapter's own pods say becomes the condition's reason and message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hooks.conditions import Verdict, find
from hooks.controller import KindOptions, customize, sync
from hooks.deployments import TEMPLATE_HASH
from hooks.observability import Observability
from hooks.pods import with_pod_diagnosis
from hooks.protocol import CustomizeRequest, SyncRequest
from hooks.settings import Settings
from tests.unit.hooks.hook import SERVICE_SINK, SETTINGS, parent, service

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WANTED = {"metadata": {"annotations": {TEMPLATE_HASH: "abc"}}}
STARTING = Verdict("Deployed", "Unknown", "AdapterStarting", "Deployment d is starting its first replica")


def pod(
    state: Any = None, *, last: Any = None, hash: str = "abc", ready: bool = False, dying: str = "", **status: Any
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
        "metadata": {"name": "p", "namespace": "ns", "annotations": {TEMPLATE_HASH: hash}, "deletionTimestamp": dying},
        "spec": {"containers": [limits]},
        "status": {"containerStatuses": [container], **status},
    }


def said(*pods: dict[str, Any], verdict: Verdict = STARTING) -> Verdict:
    return with_pod_diagnosis(verdict, WANTED, {"Pod.v1": {f"ns/p{n}": it for n, it in enumerate(pods)}})


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("broken", "reason", "message"),
    [
        pytest.param(
            pod(waiting("ErrImagePull", "not found")), "ImagePullBackOff",
            'Pod ns/p0 cannot pull image "i:1": not found; correct the image\'s name, or push it', id="pull",
        ),
        pytest.param(
            pod(waiting("ImagePullBackOff", 'Back-off pulling image "i:1": ErrImagePull: not found')),
            "ImagePullBackOff",
            'Pod ns/p0 cannot pull image "i:1": not found; correct the image\'s name, or push it', id="pull again",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError", 'secret "s" not found')), "CreateContainerConfigError",
            'Pod ns/p0 cannot start: secret "s" not found; create what it needs in namespace ns', id="secret",
        ),
        pytest.param(
            pod(waiting("CrashLoopBackOff", "back-off 40s"), last=terminated(2, message="noise\nK_SINK is bad\n")),
            "CrashLoopBackOff",
            "Pod ns/p0 exited with code 2: K_SINK is bad; see `kubectl logs --previous -n ns p`", id="crash",
        ),
        pytest.param(
            pod(terminated(1)), "CrashLoopBackOff",
            "Pod ns/p0 exited with code 1: Error; see `kubectl logs --previous -n ns p`", id="first crash",
        ),
        pytest.param(
            pod({"running": {}}, last=terminated(137, "OOMKilled")), "OOMKilled",
            "Pod ns/p0 was killed: it needs more memory than its limit of 128Mi; have the source hold less at a time",
            id="memory",
        ),
        pytest.param(
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available."}]),
            "Unschedulable",
            "Pod ns/p0 cannot be scheduled: 0/1 nodes are available; add a node it fits on, or make room on one",
            id="node",
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="The node was low on memory."), "Evicted",
            "Pod ns/p0 failed: The node was low on memory.", id="evicted",
        ),
    ],
)  # fmt: skip
def test_a_pods_own_state_is_reason_and_message(broken: dict[str, Any], reason: str, message: str) -> None:
    assert said(broken) == Verdict("Deployed", "False", reason, message)


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param(pod(waiting("ContainerCreating")), id="on its way"),
        pytest.param(pod({"running": {}}), id="starting"),
        pytest.param(pod({"running": {}}, last=terminated(1), ready=True), id="recovered"),
        pytest.param(pod(waiting("ErrImagePull"), hash="old"), id="of an older template"),
        pytest.param({"metadata": {"annotations": {TEMPLATE_HASH: "abc"}}, "status": None}, id="brand new"),
        pytest.param(pod(waiting("ErrImagePull"), dying="2026-01-01T00:00:00Z"), id="going"),
    ],
)
def test_a_pod_with_nothing_to_say_leaves_the_verdict(quiet: dict[str, Any]) -> None:
    assert said(quiet) == STARTING


UNAVAILABLE = Verdict("Deployed", "False", "DeploymentUnavailable", "Deployment d is unavailable; look at its pods")


def test_a_pod_that_runs_and_is_not_ready_sends_to_its_log_once_the_deployment_failed() -> None:
    unready = pod({"running": {}})
    text = "Pod ns/p0 runs but is not ready; its log says why: `kubectl logs -n ns p`"
    assert said(unready, verdict=UNAVAILABLE) == Verdict("Deployed", "False", "DeploymentUnavailable", text)
    assert said(unready, pod(terminated(1)), verdict=UNAVAILABLE).reason == "CrashLoopBackOff"
    assert said(pod({"running": {}}, ready=True), verdict=UNAVAILABLE) == UNAVAILABLE
    assert said(pod({"running": {}}, hash="old"), verdict=UNAVAILABLE) == UNAVAILABLE


def test_one_broken_pod_is_enough_and_true_stays_true() -> None:
    broken = pod(waiting("ErrImagePull", "not found"))
    assert said(pod({"running": {}}, ready=True), broken).reason == "ImagePullBackOff"
    assert said(broken, verdict=Verdict("Deployed", "True")) == Verdict("Deployed", "True")


def test_a_very_long_message_is_cut() -> None:
    assert len(said(pod(waiting("ErrImagePull", "x" * 9000))).message) < 800


def test_only_where_somebody_opts_in_are_pods_looked_up() -> None:
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
def test_the_answer_explains_itself_only_then(diagnose: bool) -> None:
    def answer(related: Any, children: Any = None) -> Any:
        body = {"parent": parent({"sink": SERVICE_SINK}), "children": children or {}, "related": related}
        request, options = SyncRequest.model_validate(body), KindOptions(diagnose_pods=diagnose)
        return sync(request, SETTINGS, now=NOW, config=lambda kind: Observability(), options=options)

    [wanted] = answer(service())["children"]
    hash = wanted["spec"]["template"]["metadata"]["annotations"][TEMPLATE_HASH]
    broken = pod(waiting("ErrImagePull", "not found"), hash=hash)
    children = {"Deployment.apps/v1": {f"ns/{wanted['metadata']['name']}": wanted}}
    status = answer({**service(), "Pod.v1": {"ns/p": broken}}, children)["status"]
    expected = ("False", "ImagePullBackOff") if diagnose else ("Unknown", "AdapterStarting")
    ready = find(status, "Ready")
    assert ready
    assert (ready["status"], ready["reason"]) == expected
