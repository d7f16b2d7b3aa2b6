"""A SourcePool on this machine: its process, and the list of its sources that the hook gives to this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from adapter.contract.formats import Json
from sources_cli.admission.documents import key
from sources_cli.local.deployment import LocalDeployment
from sources_cli.local.hook import Hook, HookRejected
from sources_cli.local.objects import edited
from sources_cli.local.replica import ClusterEnv
from sources_cli.schema.pool_crds import GROUP, POOL, TROUBLED, VERSION
from sources_cli.screen.plain import ready_condition

API_VERSION = f"{GROUP}/{VERSION}"
RESYNC_S = 30.0  # as in a cluster


class LocalPool:
    """``object`` is the SourcePool with its present status. ``members``: all sources of its kinds.

    ``changed`` is called when its sources must ask the pool again.
    """

    def __init__(
        self, pool: Json, hook: Hook, cluster: ClusterEnv, members: Callable[[LocalPool], list[Json]],
        changed: Callable[[LocalPool], None],
    ) -> None:  # fmt: skip
        self.object = pool
        self.deployment: LocalDeployment | None = None
        self._hook = hook
        self._cluster = cluster
        self._members = members
        self._report = changed
        self._troubled: dict[str, Json] = {}  # "namespace/uid" -> TroubledSource
        self._woken = asyncio.Event()
        self._last_error = ""

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    def runs(self, source: Json) -> bool:
        """Whether the SourcePool lists the kind of this source."""
        return f"{source['apiVersion']}/{source['kind']}" in self.object["spec"]["kinds"]

    def related(self, source: Json) -> dict[str, dict[str, Json]]:
        """The objects of the pool that Metacontroller sends with this source."""
        name = f"{self.object['metadata']['namespace']}/{source['metadata']['uid']}"
        troubled = {name: self._troubled[name]} if name in self._troubled else {}
        return {f"{POOL}.{API_VERSION}": {key(self.object): self.object}, f"{TROUBLED}.{API_VERSION}": troubled}

    def edit(self, spec: Json, annotations: Json) -> None:
        self.object = edited(self.object, spec, annotations)

    def wake(self) -> None:
        """Requests a sync. Call this after a change of the SourcePool or of one of its sources."""
        self._woken.set()

    async def reconcile(self) -> None:
        while True:
            self._woken.clear()
            wait_s = await self._sync()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait_s or RESYNC_S)

    async def _sync(self) -> float | None:
        """Returns the hook's ``resyncAfterSeconds``."""
        observed = {key(self.deployment.desired): self.deployment.observed} if self.deployment else {}
        children = {"Deployment.apps/v1": observed, "Service.v1": {}, f"{TROUBLED}.{API_VERSION}": self._troubled}
        related: dict[str, dict[str, Json]] = {}
        for source in self._members(self):
            related.setdefault(f"{source['kind']}.{source['apiVersion']}", {})[key(source)] = source
        try:
            response = await self._hook.sync_pool(self.object, children, related)
        except HookRejected as error:  # as in Metacontroller, children and status do not change
            if str(error) != self._last_error:
                self._cluster.message(f"{POOL} {self.name}: SyncError: {error}")
            self._last_error = str(error)
            return None
        self._last_error = ""
        before = self.object.get("status"), self._troubled
        self._store(response)
        if (self.object["status"], self._troubled) != before:
            self._announce(before[0] or {})
            self._report(self)
        wait_s: float | None = response.get("resyncAfterSeconds")
        return wait_s

    def _store(self, response: Json) -> None:
        namespace = self.object["metadata"]["namespace"]
        self.object = {
            **self.object,
            "status": {**response["status"], "observedGeneration": self.object["metadata"]["generation"]},
        }
        stored = [{**each, "metadata": {"namespace": namespace, **each["metadata"]}} for each in response["children"]]
        self._troubled = {key(each): each for each in stored if each["kind"] == TROUBLED}
        for child in stored:
            if child["kind"] != "Deployment":
                continue
            if self.deployment:
                self.deployment.apply(child)
            else:
                self.deployment = LocalDeployment(child, self._cluster, f"{POOL} {self.name}", self.wake)

    def _announce(self, before: Json) -> None:
        """Prints whether the pool is ready when this has changed."""
        old, new = ready_condition(before), ready_condition(self.object["status"])
        if old.get("status") != new.get("status"):
            reason = ": ".join(filter(None, (new.get("reason"), new.get("message"))))
            text = "ready" if new.get("status") == "True" else f"not ready: {reason}"
            self._cluster.message(f"{POOL} {self.name}: {text}")
