"""``spec.suspend``: no pods, nothing deleted, and an exact status while the adapter stops and starts again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hooks.children.deployment import TEMPLATE_HASH
from hooks.controller import KindOptions
from tests.unit.hooks.hook import NOW, SERVICE_SINK, URL_SINK, answer, condition, message, observed, service

SPEC = {"sink": URL_SINK, "interval": "10s"}
SUSPENDED = {**SPEC, "suspend": True}
AVAILABLE = {"type": "Available", "status": "True"}
DOWN = {"type": "Available", "status": "False", "message": "Deployment does not have minimum availability."}
ROLLED_OUT = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
NO_PODS = {"replicas": None, "updatedReplicas": None, "availableReplicas": None}


def deployment(spec: Any = SPEC) -> Any:
    return answer(spec)["children"][0]


def test_suspended_source_wants_no_replica_of_the_same_template() -> None:
    running, suspended = deployment(), deployment(SUSPENDED)
    assert (running["spec"]["replicas"], suspended["spec"].pop("replicas")) == (1, 0)
    del running["spec"]["replicas"]
    assert suspended == running  # so a later resume starts the same adapter, and causes no rollout
    assert deployment({**SPEC, "suspend": False}) == deployment({**SPEC, "suspend": None}) == deployment()


@pytest.mark.parametrize(
    ("replicas", "status", "state"),
    [
        pytest.param(
            1, NO_PODS, "is stopping its adapter, which still sends the events in flight", id="not-scaled-yet"
        ),
        pytest.param(0, {}, "is stopping its adapter, which still sends the events in flight", id="pod-still-counted"),
        pytest.param(
            0,
            NO_PODS | {"terminatingReplicas": 1},
            "is stopping its adapter, which still sends the events in flight",
            id="pod-terminating",
        ),
        pytest.param(0, NO_PODS | {"terminatingReplicas": 0}, "has 0 replicas", id="stopped"),
        pytest.param(0, NO_PODS, "has 0 replicas", id="stopped-before-kubernetes-1.35"),
    ],
)
def test_status_says_whether_the_adapter_still_stops(replicas: int, status: Any, state: str) -> None:
    wanted = deployment()
    wanted["spec"]["replicas"] = replicas
    response = answer(SUSPENDED, children=observed(wanted, **status))
    assert condition(response, "Ready") == condition(response, "Deployed") == ("False", "Suspended")
    assert condition(response, "SinkProvided") == ("True", None)
    name = wanted["metadata"]["name"]
    text = f"spec.suspend is true. Deployment {name} {state}. To resume, set spec.suspend to false"
    assert message(response) == message(response, "Deployed") == text
    assert "resyncAfterSeconds" not in response


def test_missing_deployment_of_a_suspended_source_is_no_failure() -> None:
    first = answer(SUSPENDED)
    late = answer(SUSPENDED, status=first["status"], now=NOW + timedelta(hours=1))
    for response in (first, late):
        assert [child["spec"]["replicas"] for child in response["children"]] == [0]
        assert condition(response, "Ready") == ("False", "Suspended")
        assert message(response) == "spec.suspend is true. No adapter runs. To resume, set spec.suspend to false"
        assert "resyncAfterSeconds" not in response


def test_suspended_source_without_a_sink_has_both_problems_and_no_children() -> None:
    response = answer({"sink": SERVICE_SINK, "suspend": True})
    assert response["children"] == []
    assert condition(response, "Ready") == condition(response, "Deployed") == ("False", "Suspended")
    assert condition(response, "SinkProvided") == ("False", "NotFound")


def test_suspended_source_keeps_its_deployment_when_the_sink_is_lost() -> None:
    spec = {"sink": SERVICE_SINK, "suspend": True}
    wanted = answer(spec, related=service())["children"][0]
    lost = answer(spec, children=observed(wanted, **NO_PODS))
    assert lost["children"] == [wanted]
    assert condition(lost, "Ready") == ("False", "Suspended")


def test_suspended_listener_keeps_its_service_and_resumes_with_its_replicas() -> None:
    spec = {"sink": URL_SINK, "replicas": 3}
    suspended, resumed = answer({**spec, "suspend": True}, listens=True), answer(spec, listens=True)
    assert [child["kind"] for child in suspended["children"]] == ["Deployment", "Service"]
    assert suspended["children"][1] == resumed["children"][1]
    assert [response["children"][0]["spec"]["replicas"] for response in (suspended, resumed)] == [0, 3]
    assert suspended["status"]["address"] == resumed["status"]["address"]


def test_resumed_source_is_starting_for_a_minute_and_then_unavailable() -> None:
    """Kubernetes reports no progress deadline for a Deployment that is scaled up."""
    stopped = deployment(SUSPENDED)
    status = answer(SUSPENDED, children=observed(stopped, **NO_PODS))["status"]

    def sync(after_s: float, spec_replicas: int, **seen: Any) -> dict[str, Any]:
        nonlocal status
        wanted = deployment()
        wanted["spec"]["replicas"] = spec_replicas
        response = answer(SPEC, status=status, now=NOW + timedelta(seconds=after_s), children=observed(wanted, **seen))
        status = response["status"]
        return response

    pod = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": None}
    for response in (
        sync(0, 0, **NO_PODS),  # nothing has changed yet
        sync(1, 1, current=False, **NO_PODS),  # Kubernetes has not noticed the change
        sync(2, 1, conditions=[DOWN, ROLLED_OUT], **pod),
        sync(59, 1, conditions=[DOWN, ROLLED_OUT], **pod),
    ):
        assert condition(response, "Ready") == condition(response, "Deployed") == ("Unknown", "AdapterStarting")
        assert message(response).endswith(" is starting its adapter")
    assert response["resyncAfterSeconds"] == 1
    assert condition(sync(59, 1), "Ready") == ("True", None)
    status = response["status"]
    late = sync(61, 1, conditions=[DOWN, ROLLED_OUT], **pod)
    assert condition(late, "Ready") == ("False", "DeploymentUnavailable")
    assert "resyncAfterSeconds" not in late


def test_resumed_source_is_starting_also_while_its_status_is_older_than_its_deployment() -> None:
    """Metacontroller may see the Deployment with its new replicas before the status that it has just written."""
    stopped = deployment(SUSPENDED)
    status = answer(SUSPENDED, children=observed(stopped, **NO_PODS))["status"]
    pod = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": None}
    response = answer(SPEC, status=status, children=observed(deployment(), conditions=[DOWN, ROLLED_OUT], **pod))
    assert condition(response, "Ready") == ("Unknown", "AdapterStarting")
    assert response["resyncAfterSeconds"] == 60


def test_pod_of_a_suspended_source_is_not_diagnosed() -> None:
    wanted = deployment()
    failing = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}, "ready": False}
    annotations = {TEMPLATE_HASH: wanted["metadata"]["annotations"][TEMPLATE_HASH]}
    pod = {"metadata": {"annotations": annotations}, "status": {"containerStatuses": [failing]}}
    asked = {
        "children": observed(wanted, conditions=[DOWN], availableReplicas=0),
        "related": {"Pod.v1": {"ns/p": pod}},
        "options": KindOptions(diagnose_pods=True),
    }
    assert condition(answer(SPEC, **asked), "Ready") == ("False", "ImagePullBackOff")
    assert condition(answer(SUSPENDED, **asked), "Ready") == ("False", "Suspended")


@pytest.mark.parametrize("value", ["true", 1, [], {}], ids=["text", "number", "list", "object"])
def test_suspend_that_is_not_a_boolean_is_an_invalid_spec(value: Any) -> None:
    response = answer({**SPEC, "suspend": value})
    assert condition(response, "Ready") == ("False", "InvalidSpec")
    assert message(response).startswith("spec.suspend is ")
    assert message(response).endswith(": write true or false")
