"""A SourcePool on real pods: sources move to it and back without a lost event, and its pod is deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from hooks.pool.children import LABEL
from tests.cluster.api import Object, eventually
from tests.cluster.pooled import gaps
from tests.e2e.cluster import Cluster
from tests.e2e.namespace import RestrictedNamespace

POOL, NAMESPACE = "sources-pool", "sample-source"
SAMPLE = "metacontroller/samples/pool.yaml"
NAMES = ("a", "b", "c")


@pytest.fixture
def restored(cluster: Cluster) -> Iterator[None]:
    """Afterwards the default installation, without the kinds of pools."""
    yield
    cluster.kubectl("delete", "--ignore-not-found", "-f", SAMPLE)
    cluster.kubectl("apply", "-k", "metacontroller/overlays/default")
    cluster.kubectl("delete", "--ignore-not-found", "-f", "metacontroller/components/pool/added.yaml")


@pytest.mark.usefixtures("restored")
def test_sources_move_to_a_pool_and_back_and_no_event_is_lost(cluster: Cluster, ns: RestrictedNamespace) -> None:
    ns.start_display()
    for name in NAMES:
        ns.source(name, interval="1s")
        ns.wait_until_ready(name)
    wait_for_events(ns, 3)
    move_to_the_pool(cluster, ns)
    wait_for_events(ns, 3)
    cluster.kubectl("apply", "-k", "metacontroller/sources/sample_source")
    wait_for(ns, lambda status: "pool" not in status, adapters=len(NAMES))
    wait_for_events(ns, 3)
    for source, events in seen(ns).items():
        assert gaps(events) == [], source
        assert {sequence: ids for sequence, ids in events.items() if len(ids) != 1} == {}, source
    move_to_the_pool(cluster, ns)
    [pod] = cluster.pods(NAMESPACE, f"{LABEL}={POOL}")
    cluster.kubectl("delete", "pod", "-n", NAMESPACE, pod["metadata"]["name"], "--grace-period=0", "--force")
    wait_for_events(ns, 3)
    wait_for(ns, lambda status: status.get("pool") == POOL, adapters=0)
    assert all(len(ids) == 1 for events in seen(ns).values() for ids in events.values())


def move_to_the_pool(cluster: Cluster, ns: RestrictedNamespace) -> None:
    cluster.kubectl("apply", "-k", "metacontroller/overlays/pool")
    cluster.kubectl("apply", "-f", SAMPLE)
    cluster.kubectl("wait", "-f", SAMPLE, "--for=condition=Ready", "--timeout=120s")
    wait_for(ns, lambda status: status.get("pool") == POOL, adapters=0)


def wait_for(ns: RestrictedNamespace, holds: Callable[[Object], bool], *, adapters: int) -> None:
    """All sources are Ready, ``holds`` accepts the status of each, and so many adapters run."""

    def reached() -> bool:
        found = ns.api.list(*ns.sources, ns.name)
        statuses = [each.get("status", {}) for each in found]
        return all(map(is_ready, found)) and all(map(holds, statuses)) and len(ns.adapters()) == adapters

    eventually(reached, bool, f"all sources are Ready with {adapters} adapters", details=lambda: ns.describe("a"))


def is_ready(source: Object) -> bool:
    status = source.get("status", {})
    ready = {each["type"]: each["status"] for each in status.get("conditions", [])}.get("Ready")
    return ready == "True" and status["observedGeneration"] == source["metadata"]["generation"]


def seen(ns: RestrictedNamespace) -> dict[str, dict[int, set[str]]]:
    """Source -> sequence -> ids of all events in the log of the display."""
    found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in ns.displayed_events():
        found[event["source"]][event["data"]["sequence"]].add(event["id"])
    return found


def wait_for_events(ns: RestrictedNamespace, count: int) -> None:
    """So many more ticks of each source."""
    before = {source: max(events) for source, events in seen(ns).items()}

    def enough(found: dict[str, dict[int, set[str]]]) -> bool:
        return len(found) == len(NAMES) and all(
            max(events) >= before.get(source, 0) + count for source, events in found.items()
        )

    eventually(lambda: seen(ns), enough, f"{count} more events of each source", details=lambda: ns.describe("a"))
