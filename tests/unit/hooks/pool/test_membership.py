"""Which sources may run in a pool, and the environment that the pool gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hooks.checkpoint import read_checkpoint
from hooks.children.inputs import Pod
from hooks.controller import KindOptions
from hooks.observability import Observability
from hooks.pool.question import STOP, WAIT, Question, refill
from tests.unit.hooks.hook import BROKER_SINK, SERVICE_SINK, URL_SINK, env_of
from tests.unit.hooks.pool.sources import OPTIONS, SETTINGS, SPEC, YES, answer, asked, request, written

KEY = {"secretKeyRef": {"name": "a", "key": "b"}}


def test_pool_gets_the_environment_of_the_deployment() -> None:
    spec = SPEC | {"delivery": {"retry": 2}, "ceOverrides": {"extensions": {"a": "$(X)"}}, "own": 1}
    question = asked(request(spec))
    assert question
    assert question.environ
    in_deployment = {name: value or "" for name, value in env_of(answer(request(spec), None, KindOptions())).items()}
    # In a Deployment, the kubelet replaces $(X), and fills in the namespace.
    expected = in_deployment | {"NAMESPACE": "ns", "K_CE_OVERRIDES": '{"extensions":{"a":"$(X)"}}'}
    assert question.environ == expected
    assert question.absent_only is False


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"adapter": {"labels": {"a": "b"}}}, id="pod-settings"),
        pytest.param({"adapter": {}}, id="empty-pod-settings"),
        pytest.param({"serviceAccountName": "robot"}, id="account"),
        pytest.param({"checkpoint": {"pod": {}}}, id="checkpoint-in-the-pod"),
        pytest.param({"checkpoint": {"volume": {"claimName": "c"}}}, id="checkpoint-volume"),
        pytest.param({"checkpoint": {"url": KEY}}, id="checkpoint-url"),
        pytest.param({"sinkAuth": {"headers": {"x-key": KEY}}}, id="sink-credentials"),
        pytest.param({"sink": URL_SINK | {"audience": "a"}}, id="audience"),
        pytest.param({"sink": {"uri": "http://h/?key=S3CRET"}}, id="query-in-the-url"),
        pytest.param({"password": KEY}, id="secret"),
        pytest.param({"list": [{"configMapKeyRef": {"name": "a", "key": "b"}}]}, id="config-map"),
        pytest.param({"delivery": {"deadLetterSink": {"uri": "http://d/?key=1"}}}, id="query-of-the-dead-letter-sink"),
    ],
)
def test_source_with_credentials_or_own_settings_has_a_deployment(more: dict[str, Any]) -> None:
    assert asked(request(SPEC | more)) is None


def test_default_of_the_cluster_for_checkpoints_can_demand_a_deployment() -> None:
    options = replace(OPTIONS, checkpoint=read_checkpoint({"pod": {}}, "checkpoint"))
    assert asked(request(), options) is None
    assert asked(request(SPEC | {"checkpoint": {"none": {}}}), options)


def test_kind_that_polls_or_listens_has_deployments() -> None:
    assert asked(request(), replace(OPTIONS, polls=True)) is None
    assert asked(request(children={"Service.v1": {}})) is None


def test_kind_without_a_pool_asks_nothing() -> None:
    assert asked(request(), KindOptions()) is None


def test_suspended_and_deleted_sources_end() -> None:
    body = request()
    metadata = body.parent.metadata.model_copy(update={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    deleted = body.model_copy(update={"parent": body.parent.model_copy(update={"metadata": metadata})})
    assert [asked(request(SPEC | {"suspend": True})), asked(deleted)] == [STOP, STOP]


def test_lost_sink_leaves_a_running_source_alone() -> None:
    assert asked(request(SPEC | {"sink": BROKER_SINK})) == WAIT == Question(None, absent_only=True)


def source_in_pool(spec: Any = None, **status: Any) -> dict[str, Any]:
    body = request(spec)
    whole = body.parent.model_dump() | {"status": written(answer(body, YES)) | status}
    return {**whole, "metadata": {**whole["metadata"], "generation": 1}}


def test_refill_makes_the_same_environment_from_spec_and_status() -> None:
    spec = SPEC | {"delivery": {"deadLetterSink": {"uri": "http://d/x"}}}
    assert refill(source_in_pool(spec), Pod("", Observability()), SETTINGS) == asked(request(spec))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source_in_pool() | {"kind": 7}, id="no-object"),
        pytest.param(source_in_pool(observedGeneration=2), id="edited-since"),
        pytest.param(source_in_pool() | {"spec": SPEC | {"interval": "soon"}}, id="invalid-spec"),
        pytest.param(source_in_pool() | {"spec": SPEC | {"adapter": {}}}, id="needs-a-deployment"),
    ],
)
def test_refill_leaves_out_what_only_a_sync_can_decide(source: Any) -> None:
    assert refill(source, Pod("", Observability()), SETTINGS) is None


def test_refill_waits_for_a_lost_sink() -> None:
    assert refill(source_in_pool(sinkUri=None), Pod("", Observability()), SETTINGS) == WAIT


ELSEWHERE = "http://elsewhere.other.svc.cluster.local/x"
SAME = "https://display.ns.svc.cluster.local:8443/x"
INGRESS = "http://ingress.eventing.svc.cluster.local/ns/b"
FOREIGN_SINK = {"ref": {**SERVICE_SINK["ref"], "namespace": "other"}}


@pytest.mark.parametrize(
    ("sink", "written", "used"),
    [
        pytest.param(URL_SINK, ELSEWHERE, "http://h", id="url"),
        pytest.param(SERVICE_SINK, ELSEWHERE, None, id="service"),
        pytest.param(SERVICE_SINK, SAME, SAME, id="same-service"),
        pytest.param(FOREIGN_SINK, "http://display.other.svc.cluster.local", None, id="namespace-not-allowed"),
        pytest.param(BROKER_SINK, INGRESS, INGRESS, id="other-object"),
    ],
)
def test_status_that_somebody_has_written_does_not_choose_the_sink(sink: Any, written: str, used: str | None) -> None:
    settings = replace(SETTINGS, sink_namespaces=())
    question = refill(source_in_pool() | in_spec(sink, written), Pod("", Observability()), settings)
    assert (question.environ["K_SINK"] if question and question.environ else None) == used


def test_sink_that_has_got_an_audience_is_not_refilled() -> None:
    source = source_in_pool() | in_spec(BROKER_SINK, "http://ingress/ns/b")
    source["status"]["sinkAudience"] = "broker"
    assert refill(source, Pod("", Observability()), SETTINGS) is None


def in_spec(sink: Any, written: str) -> dict[str, Any]:
    return {"spec": SPEC | {"sink": sink}, "status": source_in_pool()["status"] | {"sinkUri": written}}
