"""Properties of the hook for any JSON: the status is a fixed point, no 5xx, no running adapter is deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from hooks.addresses import Resolved, Unresolved
from hooks.app import create_app
from hooks.children.names import deployment_name
from hooks.controller import KindOptions, Unprocessable, customize, sync
from hooks.observability import Observability
from hooks.protocol import CustomizeRequest, SyncRequest
from hooks.settings import Settings
from hooks.sinks import Scope, resolve
from hooks.source import read_source

SETTINGS = Settings(adapter_image="adapter:1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT = TestClient(create_app(SETTINGS))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
ports = st.fixed_dictionaries({"port": st.integers(1, 65535) | json_values}, optional={"name": st.text(max_size=4)})
refs = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.sampled_from(["Service", "Service", "Secret"]),
        "name": st.sampled_from(["a", "b"]),
    },
    optional={"port": json_values, "address": json_values, "namespace": st.just("ns") | json_values},
)
urls = st.sampled_from(["http://h/p", "/p", "//h", "http://[", "http://h:x", "http://h:99999", ""]) | st.text(
    max_size=8
)
trust = {"CACerts": json_values, "audience": json_values}
sinks = st.one_of(
    st.fixed_dictionaries({"ref": refs}, optional={"uri": urls, **trust}),
    st.fixed_dictionaries({"uri": urls}, optional=trust),
    st.fixed_dictionaries({"ref": json_values}, optional={"uri": json_values, **trust}),
)
checkpoints = st.sampled_from(
    [
        {"none": {}},
        {"pod": {}},
        {"volume": {"claimName": "c"}},
        {"url": {"secretKeyRef": {"name": "a", "key": "b"}}},
        {"url": "redis://:S3CRET@h"},
    ]
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "sink": sinks | json_values,
        "interval": st.sampled_from(["1s", "0", "x"]) | json_values,
        "ceOverrides": json_values,
        "serviceAccountName": json_values,
        "own": json_values,
        "suspend": st.booleans() | json_values,
        "checkpoint": checkpoints | json_values,
    },
)
services = st.fixed_dictionaries(
    {"spec": st.fixed_dictionaries({"ports": st.lists(ports, max_size=3) | json_values}) | json_values}
)
conditions = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Available", "Progressing", "ReplicaFailure"]),
            "status": st.sampled_from(["True", "False"]),
        },
        optional={"reason": st.sampled_from(["NewReplicaSetAvailable", "X"]), "message": json_values},
    ),
    max_size=3,
)
deployment_statuses = json_values | st.fixed_dictionaries(
    {"observedGeneration": st.just(1), "conditions": conditions},
    optional={key: st.integers(0, 2) for key in ("replicas", "updatedReplicas", "availableReplicas")},
)


@st.composite
def requests(draw: st.DrawFn) -> SyncRequest:
    parent = {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": "SampleSource",
        "metadata": {"name": "n", "namespace": "ns", "uid": "u"},
        "spec": draw(specs),
        "status": draw(json_values.filter(lambda value: value is None or isinstance(value, dict))),
    }
    body: dict[str, Any] = {
        "parent": parent,
        "related": {"Service.v1": draw(st.dictionaries(st.just("ns/a"), services))},
    }
    if draw(st.booleans()):
        env = [{"name": "K_SINK", "value": "http://old"}]
        pod = {"spec": {"containers": [{"name": "receive-adapter", "env": env}]}}
        observed = {"metadata": {"generation": 1}, "spec": {"template": pod}, "status": draw(deployment_statuses)}
        body["children"] = {"Deployment.apps/v1": {"ns/samplesource-n-u": observed}}
    return SyncRequest.model_validate(body)


def answer(request: SyncRequest, now: datetime) -> dict[str, Any] | None:
    try:
        return dict(sync(request, SETTINGS, now=now, observability=Observability(), options=KindOptions(("t",))))
    except Unprocessable:
        return None


@given(requests())
def test_status_is_a_fixed_point(request: SyncRequest) -> None:
    first = answer(request, NOW)
    if first is None:
        return
    parent = request.parent.model_copy(update={"status": json.loads(json.dumps(first["status"]))})
    second = answer(request.model_copy(update={"parent": parent}), NOW)
    if second and "resyncAfterSeconds" in second:
        return  # still waiting for the Deployment: the response depends on the time
    again = answer(request.model_copy(update={"parent": parent}), NOW + timedelta(hours=1))
    assert json.dumps(again) == json.dumps(second) == json.dumps(first)


@given(requests())
def test_equal_requests_have_equal_responses(request: SyncRequest) -> None:
    assert json.dumps(answer(request, NOW)) == json.dumps(answer(request, NOW))


@given(requests())
def test_response_always_contains_a_running_deployment(request: SyncRequest) -> None:
    response = answer(request, NOW)
    if response is None or not request.children:
        return
    assert [child["metadata"]["name"] for child in response["children"]] == [
        deployment_name(read_source(request.parent))
    ]


@given(requests())
def test_suspended_source_has_no_replicas_and_is_never_ready(request: SyncRequest) -> None:
    parent = request.parent.model_copy(update={"spec": {**(request.parent.spec or {}), "suspend": True}})
    response = answer(request.model_copy(update={"parent": parent}), NOW)
    if response is None:
        return
    assert [child["spec"]["replicas"] for child in response["children"]] in ([], [0])
    [ready] = [condition for condition in response["status"]["conditions"] if condition["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) in [("False", "Suspended"), ("False", "InvalidSpec")]


@given(requests())
def test_reason_and_message_are_set_unless_the_status_is_true(request: SyncRequest) -> None:
    response = answer(request, NOW)
    for condition in response["status"]["conditions"] if response else ():
        explained = bool(condition.get("reason")) and bool(condition.get("message"))
        assert explained == (condition["status"] != "True")


@given(sinks | json_values, st.dictionaries(st.sampled_from(["ns/a", "ns/b"]), services))
def test_resolve_never_raises(sink: Any, found: Any) -> None:
    scope = Scope("ns", {"Service.v1": found}, ("v1/Service",), "cluster.local")
    result = resolve(sink, "spec.sink", scope)
    assert isinstance(result, Resolved | Unresolved)


@given(json_values | st.builds(lambda spec: {"parent": {"spec": spec}}, specs))
def test_json_that_is_not_a_request_is_a_4xx(body: Any) -> None:
    for path in ("/sync", "/customize"):
        response = CLIENT.post(path, json=body)
        assert 400 <= response.status_code < 500
        assert list(response.json()) == ["error"]


@given(requests(), json_values)
def test_sync_and_customize_never_respond_5xx(request: SyncRequest, annotations: Any) -> None:
    body = request.model_dump(mode="json")
    body["parent"]["metadata"]["annotations"] = annotations
    for path in ("/sync", "/customize"):
        assert CLIENT.post(path, json=body).status_code < 500


whole_refs = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "apps/v1"]),
        "kind": st.sampled_from(["Service", "Secret", "ConfigMap"]),
        "name": st.just("a"),
    },
    optional={"namespace": st.just("other")},
)


@given(requests(), whole_refs)
def test_customize_returns_a_rule_only_for_an_allowed_kind(request: SyncRequest, ref: dict[str, str]) -> None:
    parent = request.parent.model_copy(update={"spec": {"sink": {"ref": ref}}})
    rules = customize(CustomizeRequest(parent=parent), SETTINGS)["relatedResources"]
    asked = [(rule["apiVersion"], rule["resource"], rule["namespace"], rule["names"]) for rule in rules]
    allowed = (ref["apiVersion"], ref["kind"]) == ("v1", "Service")
    assert asked == ([("v1", "services", ref.get("namespace", "ns"), ["a"])] if allowed else [])


@given(st.binary(max_size=40))
def test_bytes_that_are_not_a_request_are_a_400(body: bytes) -> None:
    assert CLIENT.post("/sync", content=body).status_code == 400
