"""All SourcePools of a run, and which of them runs a source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from adapter.contract.formats import Json
from sources_cli.admission.documents import Documents
from sources_cli.local.deployment import LocalDeployment
from sources_cli.local.hook import Hook
from sources_cli.local.pools.door import PoolDoor
from sources_cli.local.pools.pool import LocalPool
from sources_cli.local.replica import ClusterEnv


class Member(Protocol):
    """``source``: the object with its present status."""

    source: Json

    def wake(self) -> None: ...


class LocalPools:
    """``sources``: all sources of the run. ``start`` runs a task until the end of the run."""

    def __init__(
        self,
        cluster: ClusterEnv,
        sources: Callable[[], Iterable[Member]],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._cluster, self._sources, self._start = cluster, sources, start
        self._pools: dict[str, LocalPool] = {}
        self._door = PoolDoor(self._pools.get, cluster.ports)

    async def settings(self, documents: Documents) -> dict[str, str]:
        """The settings of a hook that can call these pools."""
        return {"NAMESPACE": documents.pool_namespace, "POOL_URL": await self._door.start()}

    def apply(self, documents: Documents, hook: Hook) -> None:
        for pool in documents.pools:
            name = pool["metadata"]["name"]
            if name in self._pools:
                self._pools[name].edit(pool["spec"], pool["metadata"].get("annotations"))
            else:
                self._pools[name] = LocalPool(pool, hook, self._cluster, self._members, self._changed)
                self._start(self._pools[name].reconcile())
            self._pools[name].wake()

    def of(self, source: Json) -> LocalPool | None:
        return next((pool for pool in self._pools.values() if pool.runs(source)), None)

    def deployments(self) -> list[LocalDeployment]:
        return [pool.deployment for pool in self._pools.values() if pool.deployment]

    async def stop(self) -> None:
        await asyncio.gather(*(deployment.stop() for deployment in self.deployments()))

    async def close(self) -> None:
        """Call it when the hook has ended."""
        await self._door.close()

    def _members(self, pool: LocalPool) -> list[Json]:
        return [each.source for each in self._sources() if pool.runs(each.source)]

    def _changed(self, pool: LocalPool) -> None:
        """The sources of the pool must ask it again."""
        for each in self._sources():
            if pool.runs(each.source):
                each.wake()
