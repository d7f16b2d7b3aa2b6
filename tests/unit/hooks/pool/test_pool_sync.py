"""``/pool/sync`` and ``/pool/customize``: children and status of a SourcePool, and how a process is filled."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hooks.app import create_app, new_throttle
from hooks.configmaps import MountedConfig
from hooks.pool.client import BATCH, Pools
from hooks.pool.routes import PoolSync
from hooks.settings import Settings
from tests.pools import FakePool
from tests.unit.hooks.hook import condition, message, observed
from tests.unit.hooks.pool.sources import SPEC, YES, answer, request, written

SETTINGS = Settings(adapter_image="adapter:1", namespace="hooks")
KIND = "samples.knative.dev/v1alpha1/SampleSource"
POOL_UID = "99999999-0000-0000-0000-000000000000"


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Setup:
    """A pool in memory, and the hook's answers about its SourcePool."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.pool, self.clock, self.held = FakePool(), Clock(), []
        pools = Pools("http://{}:1".format, lambda: "", new_throttle(), transport=self.pool.transport, clock=self.clock)
        self._sync = PoolSync(settings, MountedConfig(None), pools, self._hold)

    async def _hold(self, seconds: float) -> None:
        self.held.append(seconds)

    def sync(self, *sources: Any, spec: Any = None, status: Any = None, children: Any = None) -> dict[str, Any]:
        related = {source["metadata"]["uid"]: source for source in sources}
        body = {"parent": parent(spec, status), "children": children or {}, "related": {"SampleSource.x": related}}
        return dict(asyncio.run(self._sync(json.dumps(body).encode())))

    def paths(self) -> list[str]:
        return [path for path, _ in self.pool.requests]


def parent(spec: Any = None, status: Any = None, name: str = "many") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "hooks", "uid": POOL_UID, "generation": 1}
    whole = {"apiVersion": "samples.knative.dev/v1alpha1", "kind": "SourcePool", "metadata": metadata}
    return {**whole, "spec": {"kinds": [KIND]} if spec is None else spec, "status": status}


def source(n: int, **status: Any) -> dict[str, Any]:
    """A source that runs in the pool."""
    body = request()
    whole = body.parent.model_dump()
    metadata = whole["metadata"] | {"name": f"s-{n}", "uid": f"u-{n}"}
    return whole | {"metadata": metadata, "status": written(answer(body, YES)) | status}


def ready(setup: Setup, *sources: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The children and the status of a pool that runs."""
    deployment = setup.sync(*sources)["children"][0]
    children = observed(deployment)
    children = {"Deployment.apps/v1": {"hooks/many": next(iter(children["Deployment.apps/v1"].values()))}}
    return children, dict(setup.sync(*sources, children=children)["status"])


def unavailable(children: dict[str, Any], since: str) -> dict[str, Any]:
    [(name, deployment)] = children["Deployment.apps/v1"].items()
    conditions = [
        {"type": "Available", "status": "False", "lastTransitionTime": since},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    ]
    status = {**deployment["status"], "availableReplicas": 0, "conditions": conditions}
    return {"Deployment.apps/v1": {name: {**deployment, "status": status}}}


def test_children_are_one_restricted_pod_without_token_and_a_service_that_leads_to_unready_pods() -> None:
    deployment, service = Setup().sync()["children"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment["spec"]["replicas"] == 1
    assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"]) == (False, True)
    assert (container["image"], container["command"]) == ("adapter:1", ["python", "-m", "adapter.pool"])
    assert container["readinessProbe"]["periodSeconds"] == 1
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "NAME": "many", "NAMESPACE": "hooks", "POOL_PORT": "8090", "HEALTH_PORT": "8080",
    }  # fmt: skip
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert [port["port"] for port in service["spec"]["ports"]] == [8090]


def test_spec_adapter_sets_the_pod_and_cannot_change_the_selector() -> None:
    more = {"resources": {"limits": {"memory": "1Gi"}}, "labels": {"team": "a"}, "nodeSelector": {"disk": "ssd"}}
    spec = {"kinds": [KIND], "image": "own:2", "adapter": more}
    deployment = Setup().sync(spec=spec)["children"][0]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["containers"][0]["image"] == "own:2"
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"},
    }  # fmt: skip
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= {"team": "a"}.items()
    assert deployment["spec"]["selector"] == Setup().sync()["children"][0]["spec"]["selector"]


def test_token_file_of_the_hook_gives_the_pod_the_same_secret(tmp_path: Any) -> None:
    settings = Settings(adapter_image="adapter:1", namespace="hooks", pool_token_file=tmp_path / "token")
    pod = Setup(settings).sync()["children"][0]["spec"]["template"]["spec"]
    assert pod["volumes"] == [
        {"name": "pool-token", "secret": {"secretName": "sources-pool-token", "defaultMode": 0o444}}
    ]
    assert {"name": "POOL_TOKEN_FILE", "value": "/pool-token/token"} in pod["containers"][0]["env"]


def test_new_process_gets_its_sources_in_batches_and_is_filled_then() -> None:
    setup = Setup()
    setup.sync(*(source(n) for n in range(BATCH + 1)))
    assert setup.paths() == ["/keep", "/run", "/run", "/keep"]
    assert [body["filled"] for path, body in setup.pool.requests if path == "/keep"] == [False, True]
    assert [len(body["sources"]) for path, body in setup.pool.requests if path == "/run"] == [BATCH, 1]
    assert all(body["absentOnly"] for path, body in setup.pool.requests if path == "/run")
    assert setup.pool.running["u-7"]["K_SINK"] == "http://h"
    setup.sync(*(source(n) for n in range(BATCH + 1)))
    assert setup.paths()[4:] == ["/keep"]


def test_source_that_is_gone_ends_and_a_new_one_is_left_to_its_own_sync() -> None:
    setup = Setup()
    setup.sync(source(1), source(2))
    new = source(3) | {"status": None}
    setup.sync(source(1), new)
    assert list(setup.pool.running) == ["u-1"]
    assert setup.pool.requests[-1][1]["uids"] == ["u-1", "u-3"]


def test_source_of_a_deployment_is_not_listed() -> None:
    setup = Setup()
    in_deployment = source(2)
    del in_deployment["status"]["pool"]
    setup.sync(source(1), in_deployment, source(3, pool="other"))
    assert list(setup.pool.running) == ["u-1"]


def test_new_process_does_not_start_sources_of_a_kind_that_is_not_switched() -> None:
    setup = Setup()
    starting = source(1, conditions=[{"type": "Deployed", "status": "Unknown"}])
    del starting["status"]["pool"]
    setup.sync(starting)
    assert (setup.pool.running, setup.pool.filled) == ({}, True)


def test_source_whose_sink_is_lost_is_known_and_waits() -> None:
    setup = Setup()
    lost = source(1)
    del lost["status"]["sinkUri"]
    setup.sync(lost)
    assert (setup.pool.running, setup.pool.known) == ({}, {"u-1"})


def test_pool_is_ready_when_its_deployment_is_available_and_its_process_is_filled() -> None:
    setup = Setup()
    assert condition(setup.sync(), "Ready") == ("Unknown", "AdapterStarting")
    children, status = ready(setup)
    assert condition({"status": status}, "Ready") == ("True", None)
    assert setup.sync(children=children, status=status)["status"] == status


def test_silent_process_is_unknown_after_10_s_and_keeps_the_children() -> None:
    setup = Setup()
    children, status = ready(setup)
    trouble = {"metadata": {"name": "u-1"}, "spec": {"problem": "p"}}
    both = {**children, "TroubledSource.samples.knative.dev/v1alpha1": {"hooks/u-1": trouble}}
    setup.pool.down = True
    first = setup.sync(children=both, status=status)
    assert (first["status"], first["resyncAfterSeconds"]) == (status, 1)
    setup.clock.seconds += 3
    assert setup.sync(children=both, status=status)["resyncAfterSeconds"] == 3
    setup.clock.seconds += 7
    second = setup.sync(children=both, status=status)
    assert second["resyncAfterSeconds"] == 5
    assert condition(second, "Ready") == ("Unknown", "PoolNotAnswering")
    assert [child["metadata"]["name"] for child in second["children"]] == ["many", "many", "u-1"]


def test_pod_that_is_away_briefly_changes_no_status() -> None:
    setup = Setup()
    children, status = ready(setup)
    setup.pool.down = True
    brief = setup.sync(children=unavailable(children, "2999-01-01T00:00:00Z"), status=status)
    assert brief["status"] == status
    assert brief["resyncAfterSeconds"] > 0
    long = setup.sync(children=unavailable(children, "2020-01-01T00:00:00Z"), status=status)
    assert condition(long, "Deployed") == ("False", "DeploymentUnavailable")


def test_trouble_is_one_object_for_each_source() -> None:
    setup = Setup()
    setup.pool.refuses = {"u-2": "x" * 2000, "u-1": "the sink refuses events", "no/name": "p"}
    objects = setup.sync(source(1))["children"][2:]
    assert [(each["kind"], each["metadata"]["name"]) for each in objects] == [
        ("TroubledSource", "u-1"), ("TroubledSource", "u-2"),
    ]  # fmt: skip
    assert [len(each["spec"]["problem"]) for each in objects] == [23, 1024]


def test_process_can_ask_for_the_list_again_and_the_answer_is_held() -> None:
    setup = Setup()
    children, status = ready(setup)
    setup.pool.again = True
    assert setup.sync(children=children, status=status)["resyncAfterSeconds"] == 2
    assert all(0 < seconds <= 1 for seconds in setup.held)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "spec.kinds is missing: it is required"),
        ({"kinds": ["SampleSource"]}, 'spec.kinds[0] is "SampleSource": write group/version/Kind'),
        ({"kinds": [KIND], "suspend": True}, "spec.suspend is not a field of a SourcePool"),
        ({"kinds": [KIND], "adapter": {"labels": 1}}, "spec.adapter.labels is 1: write an object"),
        ({"kinds": [KIND], "image": "a b"}, 'spec.image is "a b": write an image'),
    ],
)
def test_invalid_spec_is_a_condition_and_deletes_no_pod(spec: Any, words: str) -> None:
    setup = Setup()
    response = setup.sync(spec=spec)
    assert condition(response, "Ready") == ("False", "InvalidSpec")
    assert words in message(response)
    client = TestClient(create_app(SETTINGS))
    body = {"parent": parent(spec), "children": {"Deployment.apps/v1": {"hooks/many": {}}}, "related": {}}
    refused = client.post("/pool/sync", json=body)
    assert (refused.status_code, words in refused.json()["error"]) == (422, True)


def test_name_that_no_service_can_have_is_refused() -> None:
    body = {"parent": parent(name="7"), "children": {}, "related": {}}
    answer = TestClient(create_app(SETTINGS)).post("/pool/sync", json=body).json()
    assert 'metadata.name is "7"' in message(answer)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"parent": 1}', b'{"parent": {"metadata": {}}}', b"\xff"])
def test_other_bodies_get_400(body: bytes) -> None:
    assert TestClient(create_app(SETTINGS)).post("/pool/sync", content=body).status_code == 400


def test_sources_of_all_kinds_and_namespaces_are_related() -> None:
    client = TestClient(create_app(SETTINGS))
    both = {"kinds": [KIND, KIND, "example.com/v1/TickSource"]}
    rules = client.post("/pool/customize", json={"parent": parent(both)}).json()["relatedResources"]
    assert rules == [
        {"apiVersion": "samples.knative.dev/v1alpha1", "resource": "samplesources"},
        {"apiVersion": "example.com/v1", "resource": "ticksources"},
    ]
    assert client.post("/pool/customize", json={"parent": parent({})}).json() == {"relatedResources": []}


def test_sync_of_a_source_asks_the_pool_that_the_query_names() -> None:
    setup = Setup()
    pools = Pools("http://{}:1".format, lambda: "", new_throttle(), transport=setup.pool.transport)
    client = TestClient(create_app(SETTINGS, pools=pools))
    body = request(SPEC).model_dump()
    response = client.post("/sync?pool=many", json=body).json()
    assert condition(response, "Ready") == ("True", None)
    assert list(setup.pool.running) == [body["parent"]["metadata"]["uid"]]
    assert client.post("/sync?pool=Many", json=body).status_code == 400
