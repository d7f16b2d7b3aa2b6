"""Hook replicas stop during syncs: adapters keep running, and pending changes complete without intervention."""

from __future__ import annotations

import threading
import time

from tests.cluster.world import Home, env_of
from tests.process.harness import wait_until


def test_rollout_completes_after_the_hook_is_killed_and_restarted(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    pods = {it["metadata"]["uid"] for it in home.pods()}
    world = home.world
    hook = world.hooks.pop()
    ports = world.gate.backends[:]
    home.edit(interval="20s")
    hook.child.kill()
    hook.child.wait()
    world.gate.backends.clear()
    assert {it["metadata"]["uid"] for it in home.pods()} >= pods or home.pods()  # there is always a pod
    for _ in range(3):
        home.edit(ceOverrides={"extensions": {"n": str(time.monotonic_ns())}})
    wait_until(lambda: home.events("SyncError"), "a SyncError event", home.story)
    assert home.pods(), home.story()
    world.gate.backends.append(world.start_hook())
    assert world.gate.backends != ports
    home.ready(deadline_s=60)
    assert env_of(home.deployment())["INTERVAL"] == "20s"


def test_no_sync_fails_when_one_of_two_hook_replicas_stops(home: Home) -> None:
    """As in a rolling update of the hook: one replica gets SIGTERM, and requests go to the other one."""
    home.service()
    world = home.world
    second = world.start_hook()
    leaving = world.hooks.pop()
    world.gate.backends.append(second)
    names = [f"s{n}" for n in range(5)]
    for name in names:
        home.source(name)
    stop = threading.Event()
    load = threading.Thread(target=edit_until, args=(home, names, stop))
    load.start()
    try:
        asked = len(world.gate.exchanges)
        wait_until(lambda: len(world.gate.exchanges) > asked + 40, "load", home.story)
        code, _ = leaving.stop()
        asked = len(world.gate.exchanges)
        wait_until(lambda: len(world.gate.exchanges) > asked + 40, "more load", home.story)
    finally:
        stop.set()
        load.join()
        world.gate.backends.remove(second)
    assert code == 0
    statuses = {it.status for it in list(world.gate.exchanges) if it.parent[0] == home.namespace}
    assert statuses == {200}
    assert home.events("SyncError") == []
    for name in names:
        home.ready(name)


def edit_until(home: Home, names: list[str], stop: threading.Event) -> None:
    n = 10
    while not stop.is_set():
        for name in names:
            home.edit(name, interval=f"{n}s")
        n += 1
        stop.wait(0.05)
