"""The process of a SourcePool, which runs all sources, and their sink."""

from __future__ import annotations

from sources_cli.local.process import free_port
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.pooled import POOL, EventSink, create_pool, install_pools


class RunningPool:
    """``environ``: settings of the hook that asks this process."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        port = free_port()
        self.sink, self._namespace, self._cluster = EventSink(), namespace, cluster
        names = {"NAMESPACE": namespace, "NAME": POOL, "SOURCES_PACKAGE": "adapter.sources"}
        self.process = cluster.start("adapter.pool", POOL_PORT=str(port), HEALTH_PORT=str(free_port()), **names)
        url = f"http://127.0.0.1:{port}"
        self.environ = {"NAMESPACE": namespace, "POOL_URL": url, "MAX_POOL_BODY_BYTES": str(64 * 2**20)}

    def install(self) -> None:
        install_pools(self._cluster)
        self._cluster.install(pool=POOL)
        create_pool(self._cluster.api, self._namespace)

    def last_event(self, name: str) -> int:
        """The last ``sequence`` of a source; -1 before its first event."""
        found = [last for source, last in self.sink.last().items() if source.endswith(f"/{name}")]
        return found[0] if found else -1
