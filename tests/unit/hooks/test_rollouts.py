"""Deployed, from the observed Deployment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hooks.children.deployment import TEMPLATE_HASH
from tests.unit.hooks.hook import NOW, answer, condition, observed
from tests.unit.hooks.hook import message as message_of

AVAILABLE = {"type": "Available", "status": "True"}
DOWN = {"type": "Available", "status": "False", "message": "down"}
ROLLED_OUT = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
PROGRESSING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
CAUSES = (
    "Possible causes: its pod does not run, or does not answer; the sink has accepted no event for 30 s; the source "
    "reports that it is not ready. See `kubectl logs -n ns deployment/{}`"
)
QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, ("True", None), id="rolled-out"),
        pytest.param({"conditions": [AVAILABLE, PROGRESSING]}, ("True", None), id="counts-decide"),
        pytest.param({"replicas": 2}, ("Unknown", "AdapterUpdating"), id="old-replica-still-running"),
        pytest.param({"updatedReplicas": 0}, ("Unknown", "AdapterUpdating"), id="not-updated"),
        pytest.param(
            {"availableReplicas": 0, "conditions": [AVAILABLE, PROGRESSING]}, ("Unknown", "AdapterUpdating"), id="surge"
        ),
        pytest.param({"conditions": []}, ("Unknown", "AdapterStarting"), id="no-conditions-yet"),
        pytest.param({"conditions": [DOWN, PROGRESSING]}, ("Unknown", "AdapterStarting"), id="first-rollout"),
        pytest.param({"conditions": [DOWN, LATE]}, ("False", "ProgressDeadlineExceeded"), id="never-started"),
        pytest.param({"conditions": [AVAILABLE, LATE]}, ("False", "ProgressDeadlineExceeded"), id="newer-fails"),
        pytest.param({"conditions": [QUOTA, PROGRESSING]}, ("False", "FailedCreate"), id="quota"),
        pytest.param({"conditions": [LATE, QUOTA]}, ("False", "FailedCreate"), id="replica-failure-before-deadline"),
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


def test_ready_is_unknown_while_the_deployment_has_another_template() -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    edited = answer({**spec, "interval": "1s"}, children=observed(wanted))
    assert condition(edited, "Ready") == ("Unknown", "AdapterUpdating")
    changed = {**wanted, "metadata": {**wanted["metadata"], "annotations": {TEMPLATE_HASH: "other"}}}
    assert condition(answer(spec, children=observed(changed)), "Ready") == ("Unknown", "AdapterUpdating")


def test_ready_is_unknown_if_the_deployment_has_no_generation() -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    children = observed(wanted, observedGeneration=None)
    for whole in children["Deployment.apps/v1"].values():
        del whole["metadata"]["generation"]
    assert condition(answer(spec, children=children), "Ready") == ("Unknown", "AdapterUpdating")


def test_message_of_kubernetes_is_repeated() -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    response = answer(spec, children=observed(wanted, conditions=[QUOTA]))
    assert message_of(response) == "quota"


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        pytest.param('pods "a" is forbidden: exceeded quota: q', "raise the quota", id="quota"),
        pytest.param(
            'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: receive-adapter',
            "set them in spec.adapter.resources",
            id="quota on limits",
        ),
        pytest.param(
            'pods "a" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi',
            "change spec.adapter.resources",
            id="limit range",
        ),
        pytest.param(
            'pods "a" is forbidden: no PriorityClass with name x was found',
            "correct spec.adapter.priorityClassName",
            id="priority class",
        ),
        pytest.param(
            'pods "a" is forbidden: violates PodSecurity "restricted:latest"',
            "change the pod-security label",
            id="policy",
        ),
        pytest.param(
            "pods is forbidden: error looking up service account ns/a", "correct spec.serviceAccountName", id="account"
        ),
        pytest.param('ReplicaSet "a" has timed out progressing.', "DIAGNOSE_PODS", id="stuck"),
    ],
)
def test_remedy_is_appended_to_the_message_of_kubernetes(message: str, remedy: str) -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    response = answer(spec, children=observed(wanted, conditions=[{**QUOTA, "message": message}]))
    assert message_of(response).startswith(f"{message.rstrip('.')}; ")
    assert remedy in message_of(response)


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        pytest.param(
            "Deployment does not have minimum availability.",
            f"Deployment does not have minimum availability. {CAUSES}",
            id="kubernetes",
        ),
        pytest.param("", f"no replica is available. {CAUSES}", id="no-message"),
        pytest.param("not ready: 3 polls failed", "not ready: 3 polls failed", id="with-a-cause"),
    ],
)
def test_message_names_the_possible_causes_if_kubernetes_gives_none(message: str, detail: str) -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    name = wanted["metadata"]["name"]
    response = answer(spec, children=observed(wanted, conditions=[{**DOWN, "message": message}, ROLLED_OUT]))
    assert message_of(response) == f"Deployment {name} is unavailable: {detail.format(name)}"


def test_message_about_a_listener_does_not_name_the_sink_because_it_stays_ready() -> None:
    spec, children = {"sink": {"uri": "http://h"}}, {"Deployment.apps/v1": {}, "Service.v1": {}}
    wanted = answer(spec, children=children)["children"][0]
    seen = observed(wanted, conditions=[DOWN | {"message": ""}, ROLLED_OUT])
    message = message_of(answer(spec, children=children | seen))
    assert "available. Possible causes: its pod does not run, or does not answer; the source reports" in message


def test_status_of_a_new_source_stays_the_same_until_its_adapter_is_available() -> None:
    """Each other status would be one more write per new source."""
    spec = {"sink": {"uri": "http://h"}}
    first = answer(spec)
    for status in ({"conditions": []}, {"conditions": [DOWN, PROGRESSING], "availableReplicas": None}):
        children = observed(first["children"][0], **status)
        later = answer(spec, status=first["status"], children=children, now=NOW + timedelta(seconds=2))
        assert later["status"] == first["status"]


def test_sync_without_a_deployment_requests_another_unless_the_source_is_new() -> None:
    """A changed status causes no sync, and Metacontroller reports no error if the name is taken."""
    spec = {"sink": {"uri": "http://h"}}
    first = answer(spec)
    assert "resyncAfterSeconds" not in first
    assert answer(spec, status=first["status"])["resyncAfterSeconds"] == 15
    started = answer(spec, status=first["status"], children=observed(first["children"][0], conditions=[]))
    assert "resyncAfterSeconds" not in started
    ready = answer(spec, status=started["status"], children=observed(first["children"][0]))
    assert answer(spec, status=ready["status"])["resyncAfterSeconds"] == 15
    assert answer(spec, status=answer({})["status"])["resyncAfterSeconds"] == 15  # after the sink was missing


def test_deployment_missing_15_s_after_the_sink_was_resolved_is_a_failure() -> None:
    spec = {"sink": {"uri": "http://h"}}
    unresolved = answer({}, now=NOW - timedelta(hours=1))["status"]
    first = answer(spec, status=unresolved)
    assert condition(first, "Ready") == ("Unknown", "AdapterStarting")
    soon = answer(spec, status=first["status"], now=NOW + timedelta(seconds=14))
    assert (condition(soon, "Ready"), soon["resyncAfterSeconds"]) == (("Unknown", "AdapterStarting"), 15)
    late = answer(spec, status=soon["status"], now=NOW + timedelta(seconds=15))
    assert condition(late, "Ready") == ("False", "DeploymentNotCreated")
    assert late["resyncAfterSeconds"] == 30  # Metacontroller gets no event when the obstacle is removed
    assert answer(spec, status=late["status"], now=NOW + timedelta(hours=1)) == late
