"""Uninstalling a pool works in any order: its process ends, and no object is left.

Each order has its own control plane, which knows all kinds from its start: kube-controller-manager looks for new kinds
only every 30 s.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from metacontroller.generate.objects import pool
from sources_cli.schema.crd import crd
from sources_cli.schema.pool_crds import pool_crds
from tests.cluster import metacontroller
from tests.cluster.api import NotFoundError, eventually
from tests.cluster.control_plane import BY_HAND, control_plane
from tests.cluster.local_cluster import CONTROLLERS, CRDS, DEPLOYMENTS, KIND, cluster_with_hook, read_yaml
from tests.cluster.namespace import SourceNamespace
from tests.cluster.pooled import POOL, POOLS, PooledCluster, install_pools

SOURCES_CRD = f"{KIND.plural}.{KIND.group}"
PARTS = ("sources-crd", "pool", "pool-crds", "controllers", "metacontroller", "hook")
ORDERS = (
    ("sources-crd", "pool", "controllers", "pool-crds", "hook", "metacontroller"),
    ("hook", "metacontroller", "pool-crds", "sources-crd", "controllers", "pool"),
)


@pytest.mark.long
@pytest.mark.usefixtures("needs_metacontroller")
@pytest.mark.parametrize("order", [*ORDERS, *list(itertools.permutations(PARTS))[::90]], ids="-".join)
def test_each_order_ends_the_process_and_leaves_nothing(binaries: Path, tmp_path: Path, order: Sequence[str]) -> None:
    """10 of the 720 orders."""
    crds = [*read_yaml(metacontroller.crds()), crd(KIND), *pool_crds()]
    with (
        control_plane(binaries, tmp_path / "plane", crds) as plane,
        cluster_with_hook(plane, tmp_path) as cluster,
    ):
        pooled = PooledCluster(cluster, SourceNamespace(cluster, BY_HAND))
        try:
            pooled.start_hooks()
            install_pools(cluster)
            cluster.install(pool=POOL)
            cluster.metacontroller.start()
            pooled.create_pool()
            pooled.ns.source("a", interval="200ms", sink={"uri": pooled.sink.url})
            pooled.ns.wait_until_ready("a")
            pooled.wait_for_events(15)  # a list does not end a source that was named less than 2 s ago
            for n, part in enumerate(order):
                remove(pooled, part)
                if n == 0 and part == "sources-crd":  # the pool, the hook and Metacontroller still run
                    pooled.wait_for_pooled_sources(0)
            eventually(lambda: remaining(pooled), lambda found: not found, f"nothing is left after {order}")
            assert not pooled.kubelet.runs
        finally:
            pooled.kubelet.close()
            pooled.sink.close()


def remove(pooled: PooledCluster, part: str) -> None:
    """Delete the part and wait until it is gone, as `kubectl delete` does."""
    cluster, api = pooled.cluster, pooled.api
    if part == "metacontroller":
        return cluster.metacontroller.stop()
    if part == "hook":
        cluster.hook_proxy.down = True
        return None
    found: dict[str, list[tuple[str, ...]]] = {
        "sources-crd": [(*CRDS, SOURCES_CRD)],
        "pool": [(*POOLS, POOL, BY_HAND)],
        "pool-crds": [(*CRDS, each["metadata"]["name"]) for each in pool_crds()],
        "controllers": [(*CONTROLLERS, SOURCES_CRD), (*CONTROLLERS, pool.NAME)],
    }
    for each in found[part]:
        try:
            api.delete(*each)
        except NotFoundError:  # deleted with its CRD
            assert (part, each[1]) == ("pool", POOLS[1])
        eventually(lambda each=each: api.find(*each), lambda seen: seen is None, f"no {each}")  # type: ignore[misc]
    return None


def remaining(pooled: PooledCluster) -> list[str]:
    kinds = (DEPLOYMENTS, ("apps/v1", "replicasets"), ("v1", "pods"), ("v1", "services"), POOLS)
    return [f"{kind} {name}" for kind in kinds for name in _names(pooled, *kind)]


def _names(pooled: PooledCluster, api_version: str, resource: str) -> list[str]:
    try:
        return [each["metadata"]["name"] for each in pooled.api.list(api_version, resource, BY_HAND)]
    except NotFoundError:
        return []
