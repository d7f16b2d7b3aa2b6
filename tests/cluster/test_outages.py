"""Hook replicas stop during syncs: adapters keep running, and pending changes complete without intervention."""

from __future__ import annotations

import threading
import time

from tests.cluster.namespace import SourceNamespace, env_of
from tests.process.harness import wait_until


def test_rollout_completes_after_the_hook_is_killed_and_restarted(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    pods = {pod["metadata"]["uid"] for pod in ns.pods()}
    cluster = ns.cluster
    hook = cluster.hooks.pop()
    ports = cluster.hook_proxy.backends[:]
    ns.edit(interval="20s")
    hook.child.kill()
    hook.child.wait()
    cluster.hook_proxy.backends.clear()
    assert {pod["metadata"]["uid"] for pod in ns.pods()} >= pods or ns.pods()  # there is always a pod
    for _ in range(3):
        ns.edit(ceOverrides={"extensions": {"n": str(time.monotonic_ns())}})
    wait_until(lambda: ns.events("SyncError"), "a SyncError event", ns.describe)
    assert ns.pods(), ns.describe()
    cluster.hook_proxy.backends.append(cluster.start_hook())
    assert cluster.hook_proxy.backends != ports
    ns.wait_until_ready()
    assert env_of(ns.deployment())["INTERVAL"] == "20s"


def test_no_sync_fails_when_one_of_two_hook_replicas_stops(ns: SourceNamespace) -> None:
    """As in a rolling update of the hook: one replica gets SIGTERM, and requests go to the other one."""
    ns.service()
    cluster = ns.cluster
    second = cluster.start_hook()
    leaving = cluster.hooks.pop()
    cluster.hook_proxy.backends.append(second)
    names = [f"s{n}" for n in range(5)]
    for name in names:
        ns.source(name)
    stop = threading.Event()
    load = threading.Thread(target=edit_until, args=(ns, names, stop))
    load.start()
    try:
        calls_before = len(cluster.hook_proxy.exchanges)
        wait_until(lambda: len(cluster.hook_proxy.exchanges) > calls_before + 40, "load", ns.describe)
        code = leaving.stop().code
        calls_before = len(cluster.hook_proxy.exchanges)
        wait_until(lambda: len(cluster.hook_proxy.exchanges) > calls_before + 40, "more load", ns.describe)
    finally:
        stop.set()
        load.join()
        cluster.hook_proxy.backends.remove(second)
    assert code == 0
    statuses = {exchange.status for exchange in list(cluster.hook_proxy.exchanges) if exchange.parent[0] == ns.name}
    assert statuses == {200}
    assert ns.events("SyncError") == []
    for name in names:
        ns.wait_until_ready(name)


def edit_until(ns: SourceNamespace, names: list[str], stop: threading.Event) -> None:
    n = 10
    while not stop.is_set():
        for name in names:
            ns.edit(name, interval=f"{n}s")
        n += 1
        stop.wait(0.05)
