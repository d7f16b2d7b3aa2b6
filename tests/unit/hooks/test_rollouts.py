"""What the hook says of a Deployment as it was observed: whose words, and from when on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hooks.deployments import TEMPLATE_HASH
from tests.unit.hooks.hook import NOW, answer, condition, observed

AVAILABLE = {"type": "Available", "status": "True"}
DOWN = {"type": "Available", "status": "False", "message": "down"}
ROLLED_OUT = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
PROGRESSING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, ("True", None), id="rolled-out"),
        pytest.param({"conditions": [AVAILABLE, PROGRESSING]}, ("True", None), id="counts-decide"),
        pytest.param({"replicas": 2}, ("Unknown", "AdapterUpdating"), id="the-old-replica-still-there"),
        pytest.param({"updatedReplicas": 0}, ("Unknown", "AdapterUpdating"), id="not-updated"),
        pytest.param(
            {"availableReplicas": 0, "conditions": [AVAILABLE, PROGRESSING]}, ("Unknown", "AdapterUpdating"), id="surge"
        ),
        pytest.param({"conditions": []}, ("Unknown", "AdapterStarting"), id="no-conditions-yet"),
        pytest.param({"conditions": [DOWN, PROGRESSING]}, ("Unknown", "AdapterStarting"), id="first-rollout"),
        pytest.param({"conditions": [DOWN, LATE]}, ("False", "ProgressDeadlineExceeded"), id="never-started"),
        pytest.param({"conditions": [AVAILABLE, LATE]}, ("False", "ProgressDeadlineExceeded"), id="newer-fails"),
        pytest.param({"conditions": [QUOTA, PROGRESSING]}, ("False", "FailedCreate"), id="quota"),
        pytest.param({"conditions": [LATE, QUOTA]}, ("False", "FailedCreate"), id="the-nearer-cause"),
        pytest.param({"conditions": [DOWN, ROLLED_OUT]}, ("False", "DeploymentUnavailable"), id="crashed-later"),
        pytest.param({"observedGeneration": 0}, ("Unknown", "AdapterUpdating"), id="status-of-an-older-generation"),
        pytest.param({"observedGeneration": None}, ("Unknown", "AdapterUpdating"), id="no-generation"),
        pytest.param({"observedGeneration": 0, "conditions": [LATE]}, ("Unknown", "AdapterStarting"), id="old-failure"),
    ],
)
def test_ready_follows_the_observed_deployment(status: dict[str, Any], expected: tuple[str, str | None]) -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    response = answer(spec, children=observed(wanted, **status))
    assert condition(response, "Deployed") == condition(response, "Ready") == expected


def test_a_stale_template_is_never_ready() -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    edited = answer({**spec, "interval": "1s"}, children=observed(wanted))
    assert condition(edited, "Ready") == ("Unknown", "AdapterUpdating")
    strange = {**wanted, "metadata": {**wanted["metadata"], "annotations": {TEMPLATE_HASH: "other"}}}
    assert condition(answer(spec, children=observed(strange)), "Ready") == ("Unknown", "AdapterUpdating")


def test_an_object_without_any_generation_is_not_taken_for_current() -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    children = observed(wanted, observedGeneration=None)
    for whole in children["Deployment.apps/v1"].values():
        del whole["metadata"]["generation"]
    assert condition(answer(spec, children=children), "Ready") == ("Unknown", "AdapterUpdating")


def test_kubernetes_own_message_is_shown() -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    response = answer(spec, children=observed(wanted, conditions=[QUOTA]))
    assert [it["message"] for it in response["status"]["conditions"] if it["type"] == "Ready"] == ["quota"]


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        pytest.param('pods "a" is forbidden: exceeded quota: q', "raise the quota", id="quota"),
        pytest.param('pods "a" is forbidden: violates PodSecurity "restricted:latest"', "relax its", id="policy"),
        pytest.param(
            "pods is forbidden: error looking up service account ns/a", "correct spec.serviceAccountName", id="account"
        ),
        pytest.param('ReplicaSet "a" has timed out progressing.', "DIAGNOSE_PODS", id="stuck"),
    ],
)
def test_a_message_that_does_not_say_what_to_do_gets_it_said(message: str, remedy: str) -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    response = answer(spec, children=observed(wanted, conditions=[{**QUOTA, "message": message}]))
    [said] = [it["message"] for it in response["status"]["conditions"] if it["type"] == "Ready"]
    assert said.startswith(f"{message.rstrip('.')}; ")
    assert remedy in said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param(
            "Deployment does not have minimum availability.",
            "Deployment does not have minimum availability; look at its pods",
            id="kubernetes",
        ),
        pytest.param("", "no replica is available; look at its pods", id="nothing"),
        pytest.param("not ready: 3 polls failed", "not ready: 3 polls failed", id="whoever knows more"),
    ],
)
def test_only_where_nobody_says_why_it_is_unavailable_are_its_pods_to_be_looked_at(message: str, said: str) -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    response = answer(spec, children=observed(wanted, conditions=[{**DOWN, "message": message}, ROLLED_OUT]))
    [told] = [it["message"] for it in response["status"]["conditions"] if it["type"] == "Ready"]
    assert told == f"Deployment {wanted['metadata']['name']} is unavailable: {said}"


def test_a_deployment_not_created_for_15_s_is_a_failure_counted_from_the_sink() -> None:
    spec = {"sink": {"uri": "http://h"}}
    unresolved = answer({}, now=NOW - timedelta(hours=1))["status"]
    first = answer(spec, status=unresolved)
    assert (condition(first, "Ready"), first["resyncAfterSeconds"]) == (("Unknown", "AdapterStarting"), 15)
    soon = answer(spec, status=first["status"], now=NOW + timedelta(seconds=14))
    assert condition(soon, "Ready") == ("Unknown", "AdapterStarting")
    late = answer(spec, status=soon["status"], now=NOW + timedelta(seconds=15))
    assert condition(late, "Ready") == ("False", "DeploymentNotCreated")
    assert late["resyncAfterSeconds"] == 30  # nothing else tells that what stood in its way is gone
    assert answer(spec, status=late["status"], now=NOW + timedelta(hours=1)) == late
