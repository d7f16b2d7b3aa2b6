"""Replicas of the hook stop and start under load: 30 sources are edited in turn, and their sink's port changes.

Each change of the Service causes a sync and a status update of every source; an edit also causes a customize request.
The sources refer to a port that the Service does not have, so no pod starts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import HOOK, Cluster
from tests.e2e.namespace import RestrictedNamespace

NAMES = [f"s{n}" for n in range(30)]
PACE_S = 0.1


class Load:
    """``port`` is the current port of the Service. A synced source has it in its condition message."""

    def __init__(self, ns: RestrictedNamespace) -> None:
        self._ns = ns
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.port = 1000

    def __enter__(self) -> Load:
        self._ns.service("moving", self.port)
        sink = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "moving", "port": 80}}
        for name in NAMES:
            self._ns.source(name, sink=sink)
        self.wait_until_settled()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(PACE_S):
            self.port += 1
            self._ns.edit(NAMES[self.port % len(NAMES)], interval=f"{self.port}s")
            ports = [{"name": "http", "port": self.port}]
            self._ns.api.patch("v1", "services", "moving", {"spec": {"ports": ports}}, self._ns.name)

    def wait_until_settled(self) -> None:
        def behind() -> list[str]:
            messages = {name: self._ns.condition("SinkProvided", name).get("message", "") for name in NAMES}
            return [name for name, message in messages.items() if f"one of: {self.port} (http)" not in message]

        what = f"port {self.port} in the status of each source"
        eventually(behind, lambda found: found == [], what, details=lambda: self._ns.describe(NAMES[0]))

    def failures(self) -> list[str]:
        events = self._ns.api.list("v1", "events", self._ns.name)
        return [f"{event['count']} x {event['message']}" for event in events if event["reason"] == "SyncError"]


@pytest.fixture
def load(cluster: Cluster, ns: RestrictedNamespace) -> Iterator[Load]:
    """Load on a hook with two ready replicas."""
    cluster.kubectl("-n", HOOK[0], "rollout", "status", "deployment/sources-hook", "--timeout=120s")
    with Load(ns) as load:
        yield load


def _pod_names(cluster: Cluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods(*HOOK)]


def _wait_for_two_without(old: list[str], cluster: Cluster) -> None:
    """Wait for two ready replicas and for the end of the old pods."""

    def ready() -> dict[str, bool]:
        return {pod["metadata"]["name"]: _is_ready(pod) for pod in cluster.pods(*HOOK)}

    def done(ready: dict[str, bool]) -> bool:
        return list(ready.values()) == [True, True] and not ready.keys() & set(old)

    eventually(ready, done, f"two replicas, none of {old}", details=cluster.log_tail)


def _is_ready(pod: Object) -> bool:
    return [container["ready"] for container in pod["status"].get("containerStatuses", [])] == [True]


def test_no_sync_fails_during_rollouts_of_the_hook(cluster: Cluster, load: Load) -> None:
    for _ in range(2):
        old = _pod_names(cluster)
        cluster.kubectl("-n", HOOK[0], "rollout", "restart", "deployment/sources-hook")
        _wait_for_two_without(old, cluster)
    load.stop()
    load.wait_until_settled()
    assert load.failures() == []


def test_sources_recover_after_hook_replicas_are_killed(
    cluster: Cluster, load: Load, figure: Callable[[str], None]
) -> None:
    for name in _pod_names(cluster):
        cluster.kubectl("-n", HOOK[0], "delete", "pod", name, "--force", "--grace-period=0")
        _wait_for_two_without([name], cluster)
    load.stop()
    load.wait_until_settled()
    figure(f"SyncErrors after two hook replicas were killed in turn: {load.failures()}")
