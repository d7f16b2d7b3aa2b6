"""``spec.adapter`` under a real API server and the real Metacontroller: admitted by ``restricted``, idle, one rollout.

``LONG=1`` tests 500 values with each apply strategy, and 1,500 values that may be invalid.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from hooks.conditions import find
from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings, PodSettings
from sources_cli.schema.crd import crd
from tests.cluster.api import Api, ApiError, Object, eventually
from tests.cluster.apply_strategies import STRATEGIES, USER, apply_with
from tests.cluster.control_plane import ControlPlane
from tests.cluster.local_cluster import KIND, SOURCES, LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.property import pod_settings
from tests.unit.hooks.hook import answer

VALUES, BATCH = (500, 50) if os.environ.get("LONG") else (24, 24)
TRIES = 1500 if os.environ.get("LONG") else 100
RESYNC_S, IDLE_S = 2, 7
READING = ("get", "list", "watch")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
Json = Any
Example = tuple[Json, Json, Json]


def examples(count: int, start: int) -> list[Example]:
    """Each example: two spellings of one value, and another value."""
    drawn: list[Example] = []

    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(pair=pod_settings.spellings(), other=pod_settings.settings)
    def draw(pair: pod_settings.Pair, other: Json) -> None:
        drawn.append((*pair, other))

    draw()
    return [example for example in drawn if read(example[0], "") != read(example[2], "")]


@contextmanager
def binding(api: Api, namespace: str) -> Iterator[None]:
    """Bind each pod to the only node, also one that the scheduler would not place there."""
    stop = threading.Event()

    def bind() -> None:
        while not stop.wait(0.1):
            for pod in api.list("v1", "pods", namespace, fieldSelector="spec.nodeName="):
                metadata = {"name": pod["metadata"]["name"], "namespace": namespace}
                target = {"apiVersion": "v1", "kind": "Node", "name": "fake"}
                try:
                    api.create({"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target})
                except ApiError as error:
                    if error.status not in (404, 409):  # deleted, or the scheduler was faster
                        raise

    thread = threading.Thread(target=bind, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def create_priority_classes(api: Api) -> None:
    for name, value in (("high", 1000), ("low", 10)):
        document = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        api.apply({**document, "value": value, "preemptionPolicy": "Never"})


@pytest.fixture
def restricted(cluster: LocalCluster) -> Iterator[SourceNamespace]:
    create_priority_classes(cluster.api)
    ns = SourceNamespace(cluster, f"t-{uuid.uuid4().hex[:8]}", labels=RESTRICTED)
    ns.add_cleanup(cluster.install)
    cluster.install(resync_s=RESYNC_S)
    try:
        with binding(cluster.api, ns.name):
            yield ns
    finally:
        ns.close()


def test_namespace_enforces_restricted(restricted: SourceNamespace) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    metadata = {"name": "p", "namespace": restricted.name}
    with pytest.raises(ApiError, match='violates PodSecurity "restricted'):
        restricted.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


@pytest.fixture(scope="module")
def api(bare_api_server: ControlPlane) -> Api:
    """With the CRD, and a namespace that enforces ``restricted``."""
    api = bare_api_server.api
    api.serve(crd(KIND))
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": RESTRICTED}})
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "ns"}})
    create_priority_classes(api)
    return api


def refusal(api: Api, document: Object) -> str:
    try:
        api.create(document, dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


def read_or_none(value: Json) -> PodSettings | None:
    try:
        return read(value, "spec.adapter")
    except InvalidSettings:
        return None


@settings(max_examples=TRIES, deadline=None, suppress_health_check=[*HealthCheck])
@given(value=pod_settings.mutated())
def test_api_server_and_hook_accept_the_same_values_and_store_them_unchanged(api: Api, value: Json) -> None:
    metadata = {"name": "hello", "namespace": "ns"}
    spec = {"sink": {"uri": "http://h"}, "adapter": value}
    source = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": metadata, "spec": spec}
    found = read_or_none(value)
    refused_by_crd = refusal(api, source)
    assert (refused_by_crd == "") == (found is not None), refused_by_crd
    if found is None or (found.grace_period_s is not None and found.grace_period_s < 100):
        return  # no rule of a CRD can compute the least grace period
    [deployment] = answer({"sink": {"uri": "http://h"}, "adapter": value})["children"]
    stored = api.create(deployment, dry_run=True)
    assert list(differences(deployment["spec"], stored["spec"])) == []
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], **metadata},
        "spec": template["spec"],
    }
    assert refusal(api, pod) == ""


def differences(written: Json, stored: Json, path: str = "") -> Iterator[str]:
    """Where the API server stores another value than the written one. It may add fields."""
    if isinstance(written, dict) and isinstance(stored, dict):
        for key, value in written.items():
            yield from differences(value, stored.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        for index, pair in enumerate(zip(written, stored, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif written != stored:
        yield f"{path} was {written!r} and is {stored!r}"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.timeout(3600)
def test_pod_settings_are_admitted_idle_and_roll_out_once(
    restricted: SourceNamespace, strategy: str, default_strategy: None
) -> None:
    ns = restricted
    apply_with(ns.cluster, strategy)
    ns.service()
    for start in range(0, VALUES, BATCH):
        check_batch(ns, {f"s{start + n}": each for n, each in enumerate(examples(BATCH, start))})
        for source in ns.api.list(*SOURCES, ns.name):
            ns.api.delete(*SOURCES, source["metadata"]["name"], ns.name)
        eventually(ns.deployments, lambda found: not found, "no Deployment", details=ns.describe, deadline_s=120)


def check_batch(ns: SourceNamespace, batch: dict[str, Example]) -> None:
    for name, (value, _, _) in batch.items():
        ns.source(name, adapter=value)
    wait_until_all_are_ready(ns, batch)
    eventually(lambda: stays_idle(ns), bool, "no write while idle", deadline_s=60)
    before = generations(ns)
    assert set(revisions(ns).values()) == {"1"}

    for name, (_, spelling, _) in batch.items():
        replace_adapter(ns, name, spelling)
    wait_until_all_are_ready(ns, batch)
    assert generations(ns) == before  # another spelling writes nothing

    with ns.api.watch(*SOURCES, ns.name) as seen:
        for name, (_, _, other) in batch.items():
            replace_adapter(ns, name, other)
        wait_until_all_are_ready(ns, batch)
        eventually(
            lambda: {s["metadata"]["name"] for s in seen if is_ready(s)}, lambda names: names == set(batch), "watched"
        )
    for name, source in first_statuses(seen).items():
        assert not is_ready(source), f"{name} was Ready on its old template: {source}"
    assert set(revisions(ns).values()) == {"2"}
    eventually(lambda: stays_idle(ns), bool, "no write while idle", deadline_s=60)


def replace_adapter(ns: SourceNamespace, name: str, value: Json) -> None:
    """With PUT: a merge patch would keep the old fields."""

    def replaced() -> bool:
        source = ns.read(name)
        try:
            ns.api.replace({**source, "spec": {**source["spec"], "adapter": value}})
        except ApiError as error:
            if error.status != 409:  # Metacontroller wrote the status meanwhile
                raise
            return False
        return True

    eventually(replaced, bool, f"{name} is replaced")


def is_ready(source: Object) -> bool:
    """Ready is True, and the status is about the present spec."""
    status = source.get("status", {})
    if status.get("observedGeneration") != source["metadata"]["generation"]:
        return False
    return (find(status, "Ready") or {}).get("status") == "True"


def wait_until_all_are_ready(ns: SourceNamespace, names: Any) -> None:
    def waiting() -> list[str]:
        sources = ns.api.list(*SOURCES, ns.name)
        return sorted({*names} - {source["metadata"]["name"] for source in sources if is_ready(source)})

    def details() -> str:
        name = waiting()[0]
        return f"{name}: {ns.read(name)['spec']['adapter']}\n{ns.describe(name)}"

    eventually(waiting, lambda found: not found, "all are Ready", details=details, deadline_s=240)


def first_statuses(seen: list[Object]) -> dict[str, Object]:
    """The first version of each source whose status is about its newest generation."""
    newest = {source["metadata"]["name"]: source["metadata"]["generation"] for source in seen}
    first: dict[str, Object] = {}
    for source in seen:
        name, generation = source["metadata"]["name"], source["metadata"]["generation"]
        if generation == newest[name] == source.get("status", {}).get("observedGeneration"):
            first.setdefault(name, source)
    return first


def by_deployment(ns: SourceNamespace, value: Callable[[Object], Json]) -> dict[str, Json]:
    return {deployment["metadata"]["name"]: value(deployment["metadata"]) for deployment in ns.deployments()}


def generations(ns: SourceNamespace) -> dict[str, Json]:
    return by_deployment(ns, lambda metadata: metadata["generation"])


def revisions(ns: SourceNamespace) -> dict[str, Json]:
    return by_deployment(ns, lambda metadata: metadata["annotations"]["deployment.kubernetes.io/revision"])


def stays_idle(ns: SourceNamespace) -> bool:
    """Over several resyncs, Metacontroller calls the hook and writes nothing."""
    writes_before, calls_before = writes(ns), hook_calls(ns)
    time.sleep(IDLE_S)  # measures a period without writes
    return hook_calls(ns) > calls_before and writes(ns) == writes_before


def hook_calls(ns: SourceNamespace) -> int:
    return sum(exchange.parent[0] == ns.name for exchange in list(ns.cluster.hook_proxy.exchanges))


def writes(ns: SourceNamespace) -> int:
    """Metacontroller's writes in this namespace."""
    entries = (entry for entry in ns.cluster.plane.audit() if entry["user"]["username"] == USER)
    written = [entry for entry in entries if entry["verb"] not in READING]
    return sum((entry.get("objectRef") or {}).get("namespace") == ns.name for entry in written)
