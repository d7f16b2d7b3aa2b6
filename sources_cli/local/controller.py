"""One source and what became of it: the hook's answers, the processes they ask for, the status shown.

Decides nothing itself: which process runs, with what environment and what status, is the hook's word.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from sources_cli.admission.documents import Documents, key
from sources_cli.kind import kind_named
from sources_cli.local.deployment import LocalDeployment
from sources_cli.local.hook import Hook, Refusal
from sources_cli.local.objects import event_source
from sources_cli.local.replica import Surroundings
from sources_cli.screen.plain import ready_condition

Json = Any
SETTLE_SYNCS = 10  # a status still moving after so many answers in a row waits for the next change


class RunningSource:
    """The controller of one source: asks the hook whenever something changed, until the answer stays."""

    def __init__(
        self, parent: Json, hook: Hook, surroundings: Surroundings, show: Callable[[RunningSource], None]
    ) -> None:
        self.parent = parent
        self.events = 0
        self.deployments: dict[str, LocalDeployment] = {}
        self.services: list[Json] = []
        self._hook = hook
        self._surroundings = surroundings
        self._show = show
        self._refusal = ""
        self._said_port = 0
        self._changed = asyncio.Event()

    @property
    def name(self) -> str:
        return str(self.parent["metadata"]["name"])

    @property
    def ready(self) -> bool:
        return ready_condition(self.parent.get("status") or {}).get("status") == "True"

    def emits(self, source: str) -> bool:
        """Whether events with this CloudEvents ``source`` are its own."""
        return any(source in (event_source(it.desired), key(self.parent)) for it in self.deployments.values())

    def edit(self, spec: Json, annotations: Json) -> None:
        """What ``kubectl apply`` of another spec does; the same one changes nothing."""
        metadata = self.parent["metadata"]
        if spec != self.parent.get("spec"):
            self.parent["spec"] = spec
            self.parent["metadata"] = metadata = {**metadata, "generation": metadata["generation"] + 1}
        if annotations != metadata.get("annotations"):
            self.parent["metadata"] = {**metadata, "annotations": annotations}

    def wake(self) -> None:
        """Something this source is decided by has changed."""
        self._changed.set()

    async def reconcile(self, documents: Callable[[], Documents]) -> None:
        while True:
            self._changed.clear()
            again_s = await self._settle(documents())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), again_s)

    async def stop(self) -> None:
        await asyncio.gather(*(it.stop() for it in self.deployments.values()))

    async def _settle(self, documents: Documents) -> float | None:
        """Sync until the status stays; the seconds after which the hook wants to be asked again."""
        again_s: float | None = None
        for _ in range(SETTLE_SYNCS):
            try:
                answer = await self._ask(documents)
            except Refusal as refusal:  # as Metacontroller: children and status stay, an event tells
                if str(refusal) != self._refusal:
                    self._surroundings.say(f"{self.name}: SyncError: {refusal}")
                self._refusal = str(refusal)
                return None
            self._refusal = ""
            again_s = answer.get("resyncAfterSeconds") or None
            before = self.parent.get("status")
            generation = self.parent["metadata"]["generation"]
            self.parent["status"] = {**answer["status"], "observedGeneration": generation}
            self._show(self)
            self._say_where()
            applied = await self._apply(answer.get("children") or [])
            if self.parent["status"] == before and not applied:
                break
        return again_s

    async def _ask(self, documents: Documents) -> Json:
        related = await self._hook.customize(self.parent, documents)
        kind = kind_named(self.parent["kind"], documents.package)
        observed = {name: it.observed for name, it in self.deployments.items()}
        return await self._hook.sync(self.parent, kind, {"Deployment.apps/v1": observed}, related)

    async def _apply(self, children: Sequence[Json]) -> bool:
        """Make the processes what the hook wants; whether any had to change."""
        namespace = self.parent["metadata"]["namespace"]
        stored = [{**it, "metadata": {"namespace": namespace, **it["metadata"]}} for it in children]
        wanted = {key(child): child for child in stored if child["kind"] == "Deployment"}
        self.services = [child for child in stored if child["kind"] == "Service"]
        gone = [name for name in self.deployments if name not in wanted]
        for name in gone:
            await self.deployments.pop(name).stop()
        changed = [name for name, child in wanted.items() if self._put(name, child)]
        return bool(gone or changed)

    def _put(self, name: str, child: Json) -> bool:
        if name in self.deployments:
            return self.deployments[name].apply(child)
        self.deployments[name] = LocalDeployment(child, self._surroundings, self.name, self.wake)
        return True

    def _say_where(self) -> None:
        """Once it is ready: whoever calls before then is refused. A newer template has another port."""
        ports = [it.port for it in self.deployments.values()] if self.services and self.ready else []
        for port in ports:
            if port != self._said_port:
                self._said_port = port
                waits = " and waits for a request" if self._surroundings.once else ""
                self._surroundings.say(f"{self.name}: listens on http://127.0.0.1:{port}{waits}")
