"""``spec.adapter`` under a real API server and the real Metacontroller: admitted by ``restricted``, idle, one rollout.

``LONG=1`` tests 500 values with each apply strategy.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from hooks.diagnosis.observed import find
from hooks.pod_settings.read import read
from tests.cluster.api import Api, ApiError, Object, eventually
from tests.cluster.apply_strategies import STRATEGIES, apply_with, writes
from tests.cluster.local_cluster import SOURCES, LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.restricted import RESTRICTED, create_priority_classes
from tests.deadline import DEADLINE_S
from tests.property import pod_settings

VALUES, BATCH = (500, 50) if os.environ.get("LONG") else (24, 24)
RESYNC_S = 1  # the least period that Metacontroller keeps
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
        eventually(ns.deployments, lambda found: not found, "no Deployment", details=ns.describe)


def check_batch(ns: SourceNamespace, batch: dict[str, Example]) -> None:
    ns.cluster.hook_proxy.exchanges.clear()  # those of 1,000 sources take gigabytes
    for name, (value, _, _) in batch.items():
        ns.source(name, adapter=value)
    wait_until_all_are_ready(ns, batch)
    eventually(lambda: stays_idle(ns, batch), bool, "no write while idle")
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
    eventually(lambda: stays_idle(ns, batch), bool, "no write while idle")


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

    eventually(waiting, lambda found: not found, "all are Ready", details=details, deadline_s=2 * DEADLINE_S)


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


def stays_idle(ns: SourceNamespace, names: Iterable[str]) -> bool:
    """In two whole resyncs of each source, Metacontroller writes nothing.

    A call may be under way now. A source's next call begins after Metacontroller has applied the answer of the last.
    """
    writes_before, calls_before = writes(ns), hook_calls(ns)
    wanted = {name: calls_before[name] + 3 for name in names}
    eventually(
        lambda: hook_calls(ns), lambda calls: all(calls[name] >= count for name, count in wanted.items()), "two resyncs"
    )
    return writes(ns) == writes_before


def hook_calls(ns: SourceNamespace) -> Counter[str]:
    """The number of calls of ``/sync`` about each source."""
    exchanges = [exchange for exchange in list(ns.cluster.hook_proxy.exchanges) if exchange.path.startswith("/sync")]
    return Counter(name for namespace, name in (exchange.parent for exchange in exchanges) if namespace == ns.name)
