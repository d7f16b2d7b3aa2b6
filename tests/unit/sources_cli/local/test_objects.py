"""``sources run`` describes a process as Kubernetes would, and finds Services by their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sources_cli.local.objects import ReplicaState, deployment_status, is_display, local_url, parse_event, selects

PORTS = {("default", "event-display"): 4711}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("http://event-display.default.svc.cluster.local", "http://127.0.0.1:4711", id="service"),
        pytest.param(
            "http://event-display.default.svc.corp:8080/a?b=c", "http://127.0.0.1:4711/a?b=c", id="path-stays"
        ),
        pytest.param("https://event-display.default.svc:8443/a", "http://127.0.0.1:4711/a", id="tls"),
        pytest.param("http://event-display.default.svc", "http://127.0.0.1:4711", id="short"),
        pytest.param("http://other.default.svc.cluster.local", "http://other.default.svc.cluster.local", id="unknown"),
        pytest.param(
            "http://event-display.prod.svc.cluster.local/", "http://event-display.prod.svc.cluster.local/", id="ns"
        ),
        pytest.param("https://example.com/in", "https://example.com/in", id="outside"),
    ],
)
def test_address_of_a_service_becomes_its_local_port(url: str, expected: str) -> None:
    assert local_url(url, PORTS) == expected


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in status["conditions"]}


@pytest.mark.parametrize(
    ("ready", "was_ready", "failure", "available", "progressing"),
    [
        pytest.param(False, False, None, "False", ("True", "ReplicaSetUpdated"), id="starting"),
        pytest.param(True, True, None, "True", ("True", "NewReplicaSetAvailable"), id="ready"),
        pytest.param(False, True, "code 1", "False", ("True", "NewReplicaSetAvailable"), id="crashed-later"),
        pytest.param(False, False, "code 2", "False", ("False", "ProgressDeadlineExceeded"), id="never-started"),
    ],
)
def test_deployment_status_describes_a_process(
    ready: bool, was_ready: bool, failure: str | None, available: str, progressing: tuple[str, str]
) -> None:
    status = deployment_status(generation=3, newest=ReplicaState(ready, was_ready, failure))
    found = conditions(status)
    assert (found["Available"][0], found["Progressing"]) == (available, progressing)
    assert status.get("readyReplicas", 0) == status.get("availableReplicas", 0) == int(ready)
    assert (status["observedGeneration"], status["replicas"]) == (3, 1)


@pytest.mark.parametrize(
    ("newest", "progressing"),
    [
        pytest.param(ReplicaState(), ("True", "ReplicaSetUpdated"), id="starting"),
        pytest.param(
            ReplicaState(ready=True, was_ready=True), ("True", "ReplicaSetUpdated"), id="old-replica-still-stopping"
        ),
        pytest.param(ReplicaState(failure="code 2"), ("False", "ProgressDeadlineExceeded"), id="cannot-start"),
    ],
)
def test_old_replica_keeps_a_rollout_available(newest: ReplicaState, progressing: tuple[str, str]) -> None:
    status = deployment_status(generation=2, newest=newest, old=ReplicaState(ready=True, was_ready=True))
    assert (status["replicas"], status["updatedReplicas"]) == (2, 1)
    assert conditions(status)["Available"][0] == "True"
    assert conditions(status)["Progressing"] == progressing


def test_deployment_without_replicas_is_rolled_out_and_counts_what_still_stops() -> None:
    status = deployment_status(generation=2, newest=None, wanted=0, terminating=1)
    assert (status["replicas"], status["updatedReplicas"], status["terminatingReplicas"]) == (0, 0, 1)
    assert conditions(status)["Progressing"] == ("True", "NewReplicaSetAvailable")
    assert conditions(status)["Available"][0] == "True"


@pytest.mark.parametrize(
    ("selector", "expected"),
    [({"app": "a"}, True), ({"app": "b"}, False), ({}, False), (None, False)],
    ids=["same", "other", "empty", "none"],
)
def test_service_selects_pods_by_their_labels(selector: dict[str, str] | None, expected: bool) -> None:
    service = {"metadata": {"namespace": "default"}, "spec": {"selector": selector}}
    template = {"metadata": {"labels": {"app": "a", "more": "x"}}}
    assert selects(service, {"metadata": {"namespace": "default"}, "spec": {"template": template}}) is expected


def test_only_a_cloudevent_is_an_event() -> None:
    event = {"type": "t", "source": "s"}
    assert parse_event(json.dumps(event)) == event
    assert [parse_event(line) for line in ("", "listening", "[]", '{"level": "info"}')] == [None] * 4


def test_display_is_recognized_by_the_module_that_it_runs() -> None:
    def deployment(**container: list[str]) -> dict[str, Any]:
        return {"spec": {"template": {"spec": {"containers": [container]}}}}

    assert is_display(deployment(command=["python", "-m", "adapter.display"]))
    assert is_display(deployment(args=["-m", "adapter.display", "--format", "jsonl"]))
    assert not is_display(deployment(command=["python", "-m", "adapter"]))
    assert not is_display(deployment())
