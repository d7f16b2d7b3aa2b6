"""One source: calls the hook until nothing changes, runs the adapters in its responses, and stores the status.

The hook makes all decisions: which process runs, its environment and the status.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from adapter.contract.formats import Json
from sources_cli.admission.documents import Documents, key
from sources_cli.kind import kind_named
from sources_cli.local.deployment import LocalDeployment
from sources_cli.local.hook import Hook, HookRejected
from sources_cli.local.objects import edited, event_source, local_url
from sources_cli.local.pools.pool import LocalPool
from sources_cli.local.process import exit_text
from sources_cli.local.replica import ClusterEnv
from sources_cli.local.service import LocalService
from sources_cli.screen.plain import ready_condition

LOCAL_SETTINGS = ("env", "terminationGracePeriodSeconds")  # the fields of spec.adapter that a process can have
SETTLE_SYNCS = 10  # maximum number of syncs in a row, even if the status still changes


class SourceController:
    """``source`` is the object with its current status; ``events`` is the number of its events that arrived.

    ``pool``: the pool of its kind, or None.
    """

    def __init__(
        self,
        source: Json,
        hook: Hook,
        cluster: ClusterEnv,
        show: Callable[[SourceController], None],
        pool: Callable[[Json], LocalPool | None] = lambda source: None,
    ) -> None:
        self.source = source
        self.events = 0
        self.deployments: dict[str, LocalDeployment] = {}
        self._hook = hook
        self._cluster = cluster
        self._show = show
        self._pool = pool
        self._last_error = ""
        self._announced_url = ""
        self._announced_settings: list[str] = []
        self._changed = asyncio.Event()
        self._kind = kind_named(source["kind"], cluster.package)
        self._service: LocalService | None = None
        if self._kind.listens:
            self._service = LocalService(cluster.service_ports.bind(self.name), self._ready_port)

    @property
    def name(self) -> str:
        return str(self.source["metadata"]["name"])

    @property
    def ready(self) -> bool:
        return ready_condition(self.source.get("status") or {}).get("status") == "True"

    @property
    def suspended(self) -> bool:
        return ready_condition(self.source.get("status") or {}).get("reason") == "Suspended"

    @property
    def url(self) -> str:
        """The URL on which the source listens; empty if it does not."""
        if self._service is None:
            return ""
        field = self._kind.source_class.model_fields.get("path")
        path = (self.source.get("spec") or {}).get("path") or (field.default if field else "/")
        return f"http://127.0.0.1:{self._service.port}{path}"

    def summary(self, failures: str) -> str:
        """The last line about this source. ``failures``: what failed more than once, or empty."""
        ended = [deployment.exit_code for deployment in self.deployments.values()]
        codes = ", ".join(exit_text(code) for code in ended if code is not None)
        pool = (self.source.get("status") or {}).get("pool")
        alone = f"its adapter's exit code: {codes}" if codes else "no adapter ran"
        adapter = f"it ran in SourcePool {pool}" if pool else alone
        arrived = f"{self.events} event{'' if self.events == 1 else 's'} arrived"
        parts = [arrived if self.counts_events else "events not counted", failures, adapter]
        return f"{self.name}: {'; '.join(filter(None, parts))}"

    @property
    def counts_events(self) -> bool:
        """Whether the events go to a display of this run, or to no sink yet. Events to other sinks are not counted."""
        sink = (self.source.get("status") or {}).get("sinkUri", "")
        return not sink or local_url(sink, self._cluster.ports()) != sink

    @property
    def missing(self) -> str:
        """What ``sources run --once`` still waits for; empty if nothing."""
        if self.suspended:
            return ""
        if not self.ready:
            condition = ready_condition(self.source.get("status") or {})
            reason = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            return f"{self.name} is not ready: {reason or 'it has no status yet'}"
        return f"no event of {self.name} has arrived" if self.counts_events and not self.events else ""

    def emits(self, source: str) -> bool:
        """Whether ``source`` is the CloudEvents source of this object's events."""
        status = self.source.get("status") or {}
        own = [event_source(deployment.desired) for deployment in self.deployments.values()]
        if "pool" in status:
            own += [each["source"] for each in status.get("ceAttributes", [])]
        return source in own or (bool(own) and source == key(self.source))

    def edit(self, spec: Json, annotations: Json) -> None:
        self.source = edited(self.source, spec, annotations)

    def wake(self) -> None:
        """Requests a sync. Call this after a change of an input of the hook."""
        self._changed.set()

    async def reconcile(self, documents: Callable[[], Documents]) -> None:
        if self._service:
            await self._service.start()
        while True:
            self._changed.clear()
            resync_after_s = await self._settle(documents())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), resync_after_s)

    async def stop(self) -> None:
        await asyncio.gather(*(deployment.stop() for deployment in self.deployments.values()))
        if self._service:
            self._service.close()

    async def _settle(self, documents: Documents) -> float | None:
        """Syncs until the status stays the same. Returns the hook's ``resyncAfterSeconds``."""
        resync_after_s: float | None = None
        for _ in range(SETTLE_SYNCS):
            try:
                response = await self._sync(documents)
            except HookRejected as error:  # as in Metacontroller, children and status do not change
                if str(error) != self._last_error:
                    self._cluster.message(f"{self.name}: SyncError: {error}")
                self._last_error = str(error)
                return None
            self._last_error = ""
            resync_after_s = response.get("resyncAfterSeconds") or None
            before = self.source.get("status")
            generation = self.source["metadata"]["generation"]
            self.source["status"] = {**response["status"], "observedGeneration": generation}
            self._show(self)
            self._announce_url()
            self._announce_settings()
            applied = await self._apply(response.get("children") or [])
            if self.source["status"] == before and not applied:
                break
        return resync_after_s

    async def _sync(self, documents: Documents) -> Json:
        related = await self._hook.customize(self.source, documents)
        observed = {name: deployment.observed for name, deployment in self.deployments.items()}
        pool = self._pool(self.source)
        if pool:
            related |= pool.related(self.source)
        name = pool.name if pool else ""
        return await self._hook.sync(self.source, self._kind, {"Deployment.apps/v1": observed}, related, pool=name)

    async def _apply(self, children: Sequence[Json]) -> bool:
        """Starts, changes and stops processes to match ``children``. Returns whether anything changed."""
        namespace = self.source["metadata"]["namespace"]
        stored = [{**child, "metadata": {"namespace": namespace, **child["metadata"]}} for child in children]
        wanted = {key(child): child for child in stored if child["kind"] == "Deployment"}
        removed = [name for name in self.deployments if name not in wanted]
        for name in removed:
            await self.deployments.pop(name).stop()
        changed = [name for name, child in wanted.items() if self._put(name, child)]
        return bool(removed or changed)

    def _put(self, name: str, child: Json) -> bool:
        if name in self.deployments:
            return self.deployments[name].apply(child)
        self.deployments[name] = LocalDeployment(child, self._cluster, self.name, self.wake)
        return True

    def _ready_port(self) -> int | None:
        return next((port for deployment in self.deployments.values() if (port := deployment.ready_port)), None)

    def _announce_url(self) -> None:
        """Prints the URL once, when the source is ready to accept connections, and again after a change."""
        if self.ready and self.url != self._announced_url:
            self._announced_url = self.url
            waits = " and waits for a request" if self._cluster.once else ""
            self._cluster.message(f"{self.name}: listens on {self.url}{waits}")

    def _announce_settings(self) -> None:
        """Names the settings of the pod that have no effect here: once, and again after a change."""
        settings = (self.source.get("spec") or {}).get("adapter") or {}
        ignored = sorted(name for name, value in settings.items() if value and name not in LOCAL_SETTINGS)
        if ignored and ignored != self._announced_settings:
            used = " and ".join(LOCAL_SETTINGS)
            text = f"there is no pod: of spec.adapter, only {used} are used, not {', '.join(ignored)}"
            self._cluster.message(f"{self.name}: {text}")
        self._announced_settings = ignored
