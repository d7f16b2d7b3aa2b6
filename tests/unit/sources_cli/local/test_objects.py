"""``sources run`` says of a process what Kubernetes would say, and finds Services by their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sources_cli.local.objects import ReplicaState, deployment_status, event_of, local_url, stands_for

PORTS = {("default", "event-display"): 4711}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("http://event-display.default.svc.cluster.local", "http://127.0.0.1:4711", id="service"),
        pytest.param(
            "http://event-display.default.svc.corp:8080/a?b=c", "http://127.0.0.1:4711/a?b=c", id="path-stays"
        ),
        pytest.param("http://event-display.default.svc", "http://127.0.0.1:4711", id="short"),
        pytest.param("http://other.default.svc.cluster.local", "http://other.default.svc.cluster.local", id="unknown"),
        pytest.param(
            "http://event-display.prod.svc.cluster.local/", "http://event-display.prod.svc.cluster.local/", id="ns"
        ),
        pytest.param("https://example.com/in", "https://example.com/in", id="outside"),
    ],
)
def test_a_service_address_becomes_its_local_port(url: str, expected: str) -> None:
    assert local_url(url, PORTS) == expected


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {it["type"]: (it["status"], it["reason"]) for it in status["conditions"]}


@pytest.mark.parametrize(
    ("ready", "was_ready", "failure", "available", "progressing"),
    [
        pytest.param(False, False, None, "False", ("True", "ReplicaSetUpdated"), id="starting"),
        pytest.param(True, True, None, "True", ("True", "NewReplicaSetAvailable"), id="ready"),
        pytest.param(False, True, "code 1", "False", ("True", "NewReplicaSetAvailable"), id="crashed-later"),
        pytest.param(False, False, "code 2", "False", ("False", "ProgressDeadlineExceeded"), id="never-started"),
    ],
)
def test_a_process_is_told_in_kubernetes_words(
    ready: bool, was_ready: bool, failure: str | None, available: str, progressing: tuple[str, str]
) -> None:
    status = deployment_status(generation=3, newest=ReplicaState(ready, was_ready, failure))
    told = conditions(status)
    assert (told["Available"][0], told["Progressing"]) == (available, progressing)
    assert status.get("readyReplicas", 0) == status.get("availableReplicas", 0) == int(ready)
    assert (status["observedGeneration"], status["replicas"]) == (3, 1)


@pytest.mark.parametrize(
    ("newest", "progressing"),
    [
        pytest.param(ReplicaState(), ("True", "ReplicaSetUpdated"), id="starting"),
        pytest.param(ReplicaState(ready=True, was_ready=True), ("True", "ReplicaSetUpdated"), id="old-one-still-ends"),
        pytest.param(ReplicaState(failure="code 2"), ("False", "ProgressDeadlineExceeded"), id="cannot-start"),
    ],
)
def test_a_rollout_is_available_by_its_old_replica(newest: ReplicaState, progressing: tuple[str, str]) -> None:
    status = deployment_status(generation=2, newest=newest, old=ReplicaState(ready=True, was_ready=True))
    assert (status["replicas"], status["updatedReplicas"]) == (2, 1)
    assert conditions(status)["Available"][0] == "True"
    assert conditions(status)["Progressing"] == progressing


@pytest.mark.parametrize(
    ("selector", "expected"),
    [({"app": "a"}, True), ({"app": "b"}, False), ({}, False), (None, False)],
    ids=["same", "other", "empty", "none"],
)
def test_a_service_stands_for_the_pods_it_selects(selector: dict[str, str] | None, expected: bool) -> None:
    service = {"metadata": {"namespace": "default"}, "spec": {"selector": selector}}
    template = {"metadata": {"labels": {"app": "a", "more": "x"}}}
    assert stands_for(service, {"metadata": {"namespace": "default"}, "spec": {"template": template}}) is expected


def test_only_a_cloudevent_is_an_event() -> None:
    event = {"type": "t", "source": "s"}
    assert event_of(json.dumps(event)) == event
    assert [event_of(line) for line in ("", "listening", "[]", '{"level": "info"}')] == [None] * 4
