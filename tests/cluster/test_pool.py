"""A SourcePool with real Metacontroller, two replicas of the hook, and the real processes of pool and adapters."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from hooks.diagnosis.observed import find
from tests.cluster.api import Object, eventually
from tests.cluster.apply_strategies import apply_with
from tests.cluster.control_plane import BY_HAND
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.pooled import POOL, POOLS, EventSink, PooledCluster, gaps, pooled_cluster

TROUBLED = ("samples.knative.dev/v1alpha1", "troubledsources")
NAMES = ("a", "b", "c")
INTERVAL = "200ms"
MANY = 1200  # more than twice the most that are listed


@pytest.fixture(scope="module")
def pooled(cluster: LocalCluster) -> Iterator[PooledCluster]:
    with pooled_cluster(cluster) as pooled:
        yield pooled


@pytest.fixture
def in_pool(pooled: PooledCluster) -> PooledCluster:
    """The kind is in the pool, and its sources run there."""
    pooled.cluster.install(pool=POOL)
    if not pooled.pool_status():
        pooled.create_pool()
    for name in NAMES:
        if name not in pooled.sources():
            create(pooled, name)
    wait_until_in_pool(pooled)
    return pooled


def create(pooled: PooledCluster, name: str, interval: str = INTERVAL) -> Object:
    return pooled.ns.source(name, interval=interval, sink={"uri": pooled.sink.url})


def ready(source: Object) -> bool:
    status = source.get("status", {})
    current = status.get("observedGeneration") == source["metadata"]["generation"]
    return current and (find(status, "Ready") or {}).get("status") == "True"


def wait_until_in_pool(pooled: PooledCluster) -> None:
    def run_there() -> bool:
        found = pooled.sources().values()
        listed = all(ready(each) and each["status"].get("pool") == POOL for each in found)
        return listed and not [each for each in pooled.ns.deployments() if each["metadata"]["name"] != POOL]

    eventually(run_there, bool, "all sources run in the pool, without a Deployment", details=pooled.details)


def wait_until_in_deployments(pooled: PooledCluster) -> None:
    def run_there() -> bool:
        found = pooled.sources().values()
        return all(ready(each) and "pool" not in each["status"] for each in found)

    eventually(run_there, bool, "all sources run in Deployments", details=pooled.details)


def assert_nothing_was_lost(pooled: PooledCluster) -> None:
    for source, events in pooled.sink.seen.items():
        assert gaps(events) == [], source
        assert {sequence: ids for sequence, ids in events.items() if len(ids) != 1} == {}, source


def test_kind_moves_to_the_pool_and_back_with_both_strategies_and_loses_no_event(pooled: PooledCluster) -> None:
    for name in NAMES:
        create(pooled, name)
    wait_until_in_deployments(pooled)
    pooled.wait_for_events(3)
    pooled.create_pool()
    pooled.cluster.install(pool=POOL)
    wait_until_in_pool(pooled)
    pooled.wait_for_events(3)
    apply_with(pooled.cluster, "server-side-apply")
    pooled.cluster.install()
    wait_until_in_deployments(pooled)
    pooled.wait_for_pooled_sources(0)
    pooled.wait_for_events(3)
    pooled.cluster.install(pool=POOL)
    wait_until_in_pool(pooled)
    apply_with(pooled.cluster, "dynamic-apply")
    pooled.wait_for_events(3)
    assert_nothing_was_lost(pooled)


def test_killed_pool_gets_its_sources_back(in_pool: PooledCluster) -> None:
    in_pool.wait_for_events(1)
    process, _ = in_pool.kubelet.pool()
    process.child.kill()
    process.child.wait()
    in_pool.wait_for_events(3)
    wait_until_in_pool(in_pool)
    assert all(len(ids) == 1 for events in in_pool.sink.seen.values() for ids in events.values())


def test_edit_takes_effect_after_all_hooks_and_metacontroller_were_replaced(in_pool: PooledCluster) -> None:
    in_pool.cluster.metacontroller.stop()
    old = in_pool.cluster.hooks[-2:]
    for process in old:
        process.child.kill()
        process.child.wait()
    in_pool.ns.edit("a", interval="300ms")
    in_pool.start_hooks()
    in_pool.cluster.metacontroller.start()
    in_pool.ns.wait_until_ready("a")
    in_pool.ns.edit("a", interval=INTERVAL)
    in_pool.ns.wait_until_ready("a")
    in_pool.wait_for_events(2)


def test_many_instant_creates_and_deletes_leave_what_exists(in_pool: PooledCluster) -> None:
    names = [f"x{n}" for n in range(50)]
    for name in names:
        create(in_pool, name)
        in_pool.api.delete(*in_pool.ns.sources, name, BY_HAND)
    create(in_pool, "x0")
    in_pool.ns.wait_until_ready("x0")
    in_pool.wait_for_pooled_sources(len(NAMES) + 1)
    in_pool.wait_for_events(2)
    in_pool.api.delete(*in_pool.ns.sources, "x0", BY_HAND)
    in_pool.wait_for_pooled_sources(len(NAMES))


def test_source_that_needs_an_identity_gets_a_deployment_and_comes_back(in_pool: PooledCluster) -> None:
    account = {"name": "robot", "namespace": BY_HAND}
    in_pool.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    in_pool.ns.edit("b", serviceAccountName="robot")
    eventually(
        lambda: ready(in_pool.sources()["b"]) and "pool" not in in_pool.sources()["b"]["status"],
        bool, "b runs in a Deployment", details=in_pool.details,
    )  # fmt: skip
    in_pool.ns.edit("b", serviceAccountName=None)
    wait_until_in_pool(in_pool)
    in_pool.wait_for_events(2)


@pytest.mark.long
def test_sink_that_fails_later_makes_only_its_source_unready_until_it_recovers(in_pool: PooledCluster) -> None:
    """The sink is a problem after 30 s. The SourcePool is synced every 30 s, and the source 30 s after a refusal."""
    with contextlib.closing(EventSink()) as sink:
        in_pool.ns.source("d", interval=INTERVAL, sink={"uri": sink.url})
        in_pool.ns.wait_until_ready("d")
        sink.status = 503
        began = time.monotonic()
        in_pool.ns.wait_for_condition("Ready", "False", "AdapterRefused", name="d")
        took_s = time.monotonic() - began
        [troubled] = in_pool.api.list(*TROUBLED, BY_HAND)
        assert troubled["metadata"]["name"] == in_pool.sources()["d"]["metadata"]["uid"]
        assert "503" in troubled["spec"]["problem"]
        assert all(ready(in_pool.sources()[name]) for name in NAMES)
        sink.status = 202
        in_pool.ns.wait_until_ready("d")
        eventually(lambda: in_pool.api.list(*TROUBLED, BY_HAND), lambda found: not found, "no TroubledSource is left")
        in_pool.api.delete(*in_pool.ns.sources, "d", BY_HAND)
    assert took_s > 30, "a sink is a problem only after 30 s"
    print(f"not ready {took_s:.0f} s after the first refusal")


@pytest.mark.long
def test_all_sources_of_a_lost_sink_are_unready_although_few_are_listed_at_once(in_pool: PooledCluster) -> None:
    names = [f"many-{n}" for n in range(MANY)]

    def wait_until_each_is(wanted: str) -> None:
        def states() -> Counter[str]:
            found = in_pool.sources()
            return Counter((find(found[name].get("status"), "Ready") or {}).get("status", "") for name in names)

        text = f"Ready of {MANY} sources is {wanted}"
        eventually(states, lambda found: found[wanted] == MANY, text, deadline_s=300, details=in_pool.details)

    with contextlib.closing(EventSink()) as sink:
        for name in names:
            in_pool.ns.source(name, interval="10s", sink={"uri": sink.url})
        wait_until_each_is("True")
        for status, wanted in ((503, "False"), (202, "True")):
            sink.status, began = status, time.monotonic()
            wait_until_each_is(wanted)
            print(f"Ready is {wanted} {time.monotonic() - began:.0f} s after the sink began to answer {status}")
        for name in names:
            in_pool.api.delete(*in_pool.ns.sources, name, BY_HAND)
        in_pool.wait_for_pooled_sources(len(NAMES))


def test_without_its_pool_a_source_is_unknown_and_goes_back_to_a_deployment(in_pool: PooledCluster) -> None:
    in_pool.api.delete(*POOLS, POOL, BY_HAND)
    in_pool.ns.wait_for_condition("Ready", "Unknown", "PoolNotAnswering", name="a")
    in_pool.cluster.install()
    wait_until_in_deployments(in_pool)
    in_pool.wait_for_events(2)
