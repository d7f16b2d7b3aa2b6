"""What happens to N sources: each phase acts on all of them, and waits until the last one has followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.bench.scale.meter import Meter, Reading
from tests.bench.scale.pool import RunningPool
from tests.cluster.api import Object
from tests.cluster.local_cluster import DEPLOYMENTS, KIND, SOURCES, LocalCluster
from tests.process.harness import Process, listens, wait_until

NAMESPACE = "scale"
CLIENTS = 4  # threads that create, edit and delete
MARKS = {"50 %": 0.5, "90 %": 0.9, "99 %": 0.99, "100 %": 1.0}
QUIET_S = 17  # longer than the 15 s after which the hook may ask for one more call
LOOK_EVERY_S = 0.1
PATIENCE_S = 180  # without any progress
IDLE_S = 30
SILENT_S = 2.0
PHASES = (
    "create", "idle", "edit", "port", "restart-metacontroller", "restart-hook", "edit-one", "delete-one", "delete",
)  # fmt: skip
OF_ONE = ("edit-one", "delete-one")  # only these change one source
OF_HOOK = {
    "hook": {*PHASES} - {*OF_ONE},
    "trivial": {"create", "idle", "restart-metacontroller", "delete"},  # its Deployment is fixed and it knows no sink
    "pool": {*PHASES} - {"port"},  # its sink is a URL
}
Follows = Callable[[Object], bool]


@dataclass(frozen=True)
class Phase:
    """``marks_s``: when this part of the sources had followed. All other figures are until no more calls came."""

    name: str
    marks_s: dict[str, float]
    settled_s: float
    cpu_s: dict[str, float]
    rss_mib: dict[str, float]
    calls: dict[str, int]
    requests: dict[str, int]


class Scenario:
    """``start_hook``: starts the measured hook on its port, once more after it was stopped.

    ``pool`` runs the sources; None: each has a Deployment.
    """

    def __init__(
        self,
        cluster: LocalCluster,
        start_hook: Callable[[], Process],
        n: int,
        flags: Sequence[str],
        pool: RunningPool | None = None,
    ) -> None:
        self._cluster, self._api, self._flags = cluster, cluster.api, flags
        self._names = [f"s{number:05}" for number in range(n)]
        self._pool = pool
        self._start_hook = start_hook
        self._hook = start_hook()
        self._meter = Meter(cluster.plane, self._processes, self._metrics_urls)

    def start(self) -> None:
        self._api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self._api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "display", "namespace": NAMESPACE},
                "spec": {"ports": [{"port": 80, "name": "http"}]},
            }
        )
        (self._pool or self._cluster).install()
        self._cluster.metacontroller.start("dynamic-apply", *self._flags)

    def run(self, name: str) -> Phase:
        steps: dict[str, Callable[[float], dict[str, float]]] = {
            "create": self._create,
            "idle": self._idle,
            "edit": self._edit,
            "port": self._change_port,
            "edit-one": self._edit_one,
            "delete-one": self._delete_one,
            "restart-metacontroller": self._restart_metacontroller,
            "restart-hook": self._restart_hook,
            "delete": self._delete,
        }
        before, began = self._meter.read(), time.monotonic()
        marks = steps[name](began)
        settled = 0.0 if name == "idle" else self._wait_until_quiet() - began
        after = self._meter.read()
        return _phase(name, marks, settled, before, after, self._meter.requests(before))

    def _create(self, began: float) -> dict[str, float]:
        service = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}}
        sink = {"uri": self._pool.sink.url} if self._pool else service

        def create(name: str) -> None:
            metadata = {"name": name, "namespace": NAMESPACE}
            source = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": metadata}
            self._api.create({**source, "spec": {"interval": "10s", "sink": sink}})

        return self._until_all(began, _is_ready, lambda: self._each(create))

    def _idle(self, began: float) -> dict[str, float]:
        time.sleep(IDLE_S)
        return {}

    def _edit(self, began: float) -> dict[str, float]:
        return self._until_all(began, _is_ready, lambda: self._edit_each("20s"))

    def _change_port(self, began: float) -> dict[str, float]:
        def change() -> None:
            ports = {"spec": {"ports": [{"port": 8080, "name": "http"}]}}
            self._api.patch("v1", "services", "display", ports, NAMESPACE)

        def follows(source: Object) -> bool:
            return ":8080" in source["status"].get("sinkUri", "") and _is_ready(source)

        return self._until_all(began, follows, change)

    def _edit_one(self, began: float) -> dict[str, float]:
        """Until the first event of the new interval."""
        assert self._pool
        pool, name = self._pool, self._names[0]
        first = pool.last_event(name)
        self._api.patch(*SOURCES, name, {"spec": {"interval": "100ms"}}, NAMESPACE)
        while pool.last_event(name) <= first + 1:  # more ticks have been due by the new interval
            time.sleep(0.01)
        return {"100 %": round(time.monotonic() - began, 2)}

    def _delete_one(self, began: float) -> dict[str, float]:
        """Until its last event."""
        assert self._pool
        name = self._names.pop(0)
        self._api.delete(*SOURCES, name, NAMESPACE)
        last, at = self._pool.last_event(name), time.monotonic()
        while time.monotonic() - at < SILENT_S:
            time.sleep(0.01)
            if (now := self._pool.last_event(name)) != last:
                last, at = now, time.monotonic()
        return {"100 %": round(at - began, 2)}

    def _restart_metacontroller(self, began: float) -> dict[str, float]:
        """The marks count calls, because a restart changes no source."""
        running = self._cluster.metacontroller
        running.stop()
        before = self._meter.calls()["sync"]
        running.start("dynamic-apply", *self._flags)
        return _marks(began, len(self._names), lambda: self._meter.calls()["sync"] - before)

    def _restart_hook(self, began: float) -> dict[str, float]:
        """All sources are edited while the hook is away."""

        def restart() -> None:
            self._hook.stop()
            self._edit_each("30s")
            self._hook = self._start_hook()

        return self._until_all(began, _is_ready, restart)

    def _delete(self, began: float) -> dict[str, float]:
        """Until the last Deployment is gone, which the garbage collector of Kubernetes deletes."""
        self._each(lambda name: self._api.delete(*SOURCES, name, NAMESPACE))
        n, left = len(self._names), SOURCES if self._pool else DEPLOYMENTS
        return _marks(began, n, lambda: n - self._api.count(*left, NAMESPACE))

    def _edit_each(self, interval: str) -> None:
        self._each(lambda name: self._api.patch(*SOURCES, name, {"spec": {"interval": interval}}, NAMESPACE))

    def _each(self, act: Callable[[str], object]) -> None:
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(act, self._names))

    def _until_all(self, began: float, follows: Follows, act: Callable[[], None]) -> dict[str, float]:
        """Only versions that the watch shows after ``act`` has begun can follow."""
        done: set[str] = set()
        looked = 0
        with self._api.watch(*SOURCES, NAMESPACE) as seen, ThreadPoolExecutor(1) as actor:
            acting = actor.submit(act)

            def count() -> int:
                nonlocal looked
                newest, looked = seen[looked:], len(seen)
                for source in newest:
                    (done.add if _is_current(source) and follows(source) else done.discard)(source["metadata"]["name"])
                return len(done)

            marks = _marks(began, len(self._names), count)
            acting.result()
            return marks

    def _wait_until_quiet(self) -> float:
        """When the last call was seen."""
        calls, since = self._meter.calls(), time.monotonic()
        while time.monotonic() - since < QUIET_S:
            time.sleep(0.5)
            if (now := self._meter.calls()) != calls:
                calls, since = now, time.monotonic()
        return since

    def _processes(self) -> dict[str, int]:
        others = {"metacontroller": self._cluster.metacontroller.pid, "hook": self._hook.child.pid}
        if self._pool:
            others["pool"] = self._pool.process.child.pid
        running = {**self._cluster.plane.processes(), **others}
        return {name: pid for name, pid in running.items() if pid and _runs(pid)}

    def _metrics_urls(self) -> dict[str, str]:
        running = self._cluster.metacontroller
        return {str(running.pid): running.metrics_url} if running.running else {}


def _runs(pid: int) -> bool:
    """Not for a process that has ended."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return "VmRSS" in status.read()
    except FileNotFoundError:
        return False


def _is_current(source: Object) -> bool:
    return bool(source.get("status", {}).get("observedGeneration") == source["metadata"]["generation"])


def _is_ready(source: Object) -> bool:
    conditions = source["status"].get("conditions", [])
    return any((condition["type"], condition["status"]) == ("Ready", "True") for condition in conditions)


def _marks(began: float, n: int, count: Callable[[], int]) -> dict[str, float]:
    marks: dict[str, float] = {}
    most, progress = 0, 0.0
    while len(marks) < len(MARKS):
        done, now = count(), time.monotonic() - began
        if done > most:
            most, progress = done, now
        for name, part in MARKS.items():
            if done >= part * n:
                marks.setdefault(name, round(now, 2))
        if now - progress > PATIENCE_S:
            raise SystemExit(f"{done} of {n} sources had followed after {now:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return marks


def _phase(
    name: str, marks: dict[str, float], settled: float, before: Reading, after: Reading, requests: dict[str, int]
) -> Phase:
    cpu = {process: round(used - before.cpu_s.get(process, 0), 2) for process, used in after.cpu_s.items()}
    rss = {process: round(used, 1) for process, used in after.rss_mib.items()}
    calls = {hook: count - before.calls.get(hook, 0) for hook, count in after.calls.items()}
    return Phase(name, marks, round(settled, 2), cpu, rss, calls, requests)


def wait_for_hook(process: Process, port: int) -> Process:
    wait_until(lambda: listens(port), f"the hook on port {port}", lambda: process.errors)
    return process
