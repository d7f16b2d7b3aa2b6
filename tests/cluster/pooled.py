"""A cluster with a SourcePool: two replicas of the hook, and a kubelet that runs the real processes of all pods.

All pods are in the namespace ``by-hand``, which kwok ignores. So a pod is ready only while its process says so.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from hooks.pool.children import LABEL
from metacontroller.generate.objects import hook, pool
from metacontroller.generate.tree import documents
from metacontroller.generate.values import with_values
from sources_cli.local.environ import container_environ
from tests.cluster import fake_kubelet
from tests.cluster.api import Api, NotFoundError, Object, eventually
from tests.cluster.control_plane import BY_HAND
from tests.cluster.local_cluster import CONTROLLERS, DEPLOYMENTS, LocalCluster, with_hook_url
from tests.cluster.loopback import LoopbackServer
from tests.cluster.namespace import SourceNamespace
from tests.process.harness import Process, free_port

POOL = "many"
POOLS = ("samples.knative.dev/v1alpha1", "sourcepools")
KIND = "samples.knative.dev/v1alpha1/SampleSource"
_VALUES = with_values({"pool.enabled": True})


class EventSink:
    """Keeps the id of each event, by CloudEvents source and sequence. Another ``status`` than 202 refuses all."""

    def __init__(self) -> None:
        self.status = 202
        self.seen: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.received = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if sink.status == 202:
                    sink.seen[self.headers["ce-source"]][body["sequence"]].add(self.headers["ce-id"])
                    sink.received += 1
                self.send_response(sink.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = LoopbackServer(Handler)
        self.url, self.close = self._server.url, self._server.close

    def last(self) -> dict[str, int]:
        return {source: max(events) for source, events in list(self.seen.items())}


class Kubelet:
    """Runs the process of each pod of ``by-hand``, restarts it when it ends, and writes whether it is ready."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster, self._api = cluster, cluster.api
        self.pool_port, self._stopping = free_port(), threading.Event()
        self._running: dict[str, tuple[Process, int]] = {}  # uid of the pod -> process, health port
        self._ready: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def pool(self) -> tuple[Process, int]:
        """The process of the pool, and its health port."""
        [uid] = [pod["metadata"]["uid"] for pod in self._pods() if LABEL in pod["metadata"]["labels"]]
        return self._running[uid]

    @property
    def runs(self) -> bool:
        """Whether the process of any pod runs."""
        return bool(self._running)

    def pooled_sources(self) -> int:
        """How many sources run in the pool, by its metrics."""
        try:
            _, port = self.pool()
        except (KeyError, ValueError):
            return -1
        text = self._page(port, "/metrics")[1]
        found = re.search(r"^source_pool_sources\{.*\} (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _pods(self) -> list[Object]:
        return [pod for pod in self._api.list("v1", "pods", BY_HAND) if "nodeName" in pod["spec"]]

    def _work(self) -> None:
        while not self._stopping.wait(0.1):
            with contextlib.suppress(NotFoundError):
                self._step()

    def _step(self) -> None:
        pods = {pod["metadata"]["uid"]: pod for pod in self._pods()}
        for uid, pod in pods.items():
            if pod["metadata"].get("deletionTimestamp"):
                self._end(uid)
                seconds = {"gracePeriodSeconds": 0}
                self._api.delete("v1", "pods", pod["metadata"]["name"], BY_HAND, **seconds)
            else:
                self._keep_running(uid, pod)
        for uid in [uid for uid in self._running if uid not in pods]:
            self._end(uid)

    def _end(self, uid: str) -> None:
        if found := self._running.pop(uid, None):
            found[0].stop()

    def _keep_running(self, uid: str, pod: Object) -> None:
        found = self._running.get(uid)
        if found is None or found[0].child.poll() is not None:
            [container] = pod["spec"]["containers"]
            port = free_port()
            here = {"HEALTH_PORT": str(port), "PORT": str(free_port()), "POOL_PORT": str(self.pool_port)}
            environ = container_environ(container["env"], {"metadata.namespace": BY_HAND}, {})
            self._running[uid] = self._cluster.start(*container["command"][2:], **{**environ, **here}), port
        ready = self._page(self._running[uid][1], "/readiness")[0] == 200
        if self._ready.get(uid) != ready:
            fake_kubelet.write(self._api, pod, {"running": {"startedAt": fake_kubelet.AT}}, ready=ready)
            self._ready[uid] = ready

    def _page(self, port: int, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""
        except OSError:
            return 0, ""


class PooledCluster:
    """``ns``: the namespace of the pool and of the sources."""

    def __init__(self, cluster: LocalCluster, ns: SourceNamespace) -> None:
        self.cluster, self.ns, self.api = cluster, ns, cluster.api
        self.sink, self.kubelet = EventSink(), Kubelet(cluster)

    def start_hooks(self) -> None:
        """Two replicas."""
        environ = {"NAMESPACE": BY_HAND, "POOL_URL": f"http://127.0.0.1:{self.kubelet.pool_port}"}
        self.hooks = [self.cluster.start_hook(**environ) for _ in range(2)]
        self.cluster.hook_proxy.backends[:] = self.hooks

    def create_pool(self) -> None:
        create_pool(self.api, BY_HAND)
        eventually(
            self.pool_status, lambda found: found.get("Ready") == "True", "the pool is ready", details=self.details
        )

    def wait_for_pooled_sources(self, count: int) -> None:
        what = f"{count} sources run in the pool"
        eventually(self.kubelet.pooled_sources, lambda found: found == count, what, details=self.details)

    def pool_status(self) -> dict[str, str]:
        found = self.api.find(*POOLS, POOL, BY_HAND) or {}
        return {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}

    def details(self) -> str:
        try:
            process, _ = self.kubelet.pool()
            log = "\n".join(process.errors[-10:])
        except (KeyError, ValueError):
            log = "no pool runs"
        return f"{json.dumps(self.api.list(*POOLS, BY_HAND))[:3000]}\n{log}\n{self.ns.describe('a')}"

    def sources(self) -> dict[str, Object]:
        return {each["metadata"]["name"]: each for each in self.api.list(*self.ns.sources, BY_HAND)}

    def wait_for_events(self, count: int) -> None:
        """So many more ticks of each source."""
        before = self.sink.last()
        wanted = {self.event_source(name): before.get(self.event_source(name), 0) + count for name in self.sources()}

        def seen() -> dict[str, int]:
            return self.sink.last()

        def enough(last: dict[str, int]) -> bool:
            return all(last.get(source, 0) >= least for source, least in wanted.items())

        eventually(seen, enough, f"{count} more events of each source", details=self.details)

    def event_source(self, name: str) -> str:
        return f"/apis/{self.ns.kind.api_version}/namespaces/{BY_HAND}/{self.ns.kind.plural}/{name}"

    def close(self) -> None:
        for name in self.sources():
            self.api.delete(*self.ns.sources, name, BY_HAND)
        if self.api.find(*POOLS, POOL, BY_HAND):
            self.api.delete(*POOLS, POOL, BY_HAND)
        self.cluster.install()
        self.api.delete(*CONTROLLERS, pool.NAME)
        eventually(lambda: self.api.list(*DEPLOYMENTS, BY_HAND), lambda found: not found, "no Deployment is left")
        self.kubelet.close()
        self.sink.close()


@contextmanager
def pooled_cluster(cluster: LocalCluster) -> Iterator[PooledCluster]:
    backends = cluster.hook_proxy.backends[:]
    ns = SourceNamespace(cluster, BY_HAND)
    pooled = PooledCluster(cluster, ns)
    try:
        pooled.start_hooks()
        install_pools(cluster)
        yield pooled
    finally:
        pooled.close()
        cluster.hook_proxy.backends[:] = backends
        ns.close()


def install_pools(cluster: LocalCluster) -> None:
    """The kinds of pools, their controller and its roles."""
    for document in documents([*pool.crds(), *pool.trees(hook.LABELS, hook.SELECTOR)], _VALUES):
        if document["kind"] == "CustomResourceDefinition":
            cluster.api.serve(document)
        elif document["kind"] == "CompositeController":
            cluster.api.apply(with_hook_url(cluster.hook_proxy, document))
        else:
            cluster.api.apply(document)


def create_pool(api: Api, namespace: str) -> None:
    version, _ = POOLS
    metadata = {"name": POOL, "namespace": namespace}
    api.create({"apiVersion": version, "kind": "SourcePool", "metadata": metadata, "spec": {"kinds": [KIND]}})


def gaps(events: dict[int, Any]) -> list[int]:
    """The sequence numbers between the first and the last one that are missing."""
    return sorted(set(range(min(events), max(events) + 1)) - events.keys())
