"""``sources run``: the part of a cluster around the hook, on one machine.

Files -> the real hook's answers -> local processes -> their state -> the hook again, until nothing changes.
Decides nothing itself: which process runs, with what environment and what status, is the hook's word.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hooks.dev.documents import Documents, event_types, key, read_documents
from hooks.dev.hook import Hook
from hooks.dev.local import LocalDeployment
from hooks.dev.objects import LocalPorts, event_of, event_source, is_display, stands_for
from hooks.dev.table import Table, ready_condition

Json = Any
SETTLE_SYNCS = 10  # a status still moving after so many answers in a row waits for the next change
DISPLAY_START_S = 20.0


@dataclass(frozen=True)
class Options:
    files: Sequence[Path]
    for_s: float | None = None
    hook_port: int = 0
    logs: bool = False


@dataclass
class Running:
    """One source and what became of it."""

    parent: Json
    types: Sequence[str]
    related: Json
    deployments: dict[str, LocalDeployment] = field(default_factory=dict)
    events: int = 0
    shown: object = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return str(self.parent["metadata"]["name"])


async def run(options: Options) -> int:
    documents = read_documents(options.files)
    stop = asyncio.Event()
    cluster = Cluster(options, documents)
    async with _signals(stop, cluster):
        await cluster.run(stop)
    return 0


class Cluster:
    def __init__(self, options: Options, documents: Documents) -> None:
        self._options = options
        self._documents = documents
        self._table = Table(documents.sources)
        self._sources: dict[str, Running] = {}  # CloudEvents `source` or namespace/name -> source
        self._running: list[Running] = []
        self._displays: dict[str, LocalDeployment] = {}
        self._hook: Hook | None = None

    async def run(self, stop: asyncio.Event) -> None:
        try:
            self._hook = await Hook.start(self._options.hook_port, self._log)
            await self._start_displays()
            print(self._table.header(), flush=True)
            for parent in self._documents.sources:
                related = await self._hook.customize(parent, self._documents)
                self._running.append(Running(parent, event_types(parent["kind"]), related))
            await self._until(stop)
        finally:
            await self._drain()

    def kill(self) -> None:
        """Somebody is out of patience."""
        for deployment in self._all_deployments():
            deployment.kill()

    async def _until(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        loops = [asyncio.create_task(self._reconcile(source)) for source in self._running]
        done, pending = await asyncio.wait(
            [stopped, *loops], timeout=self._options.for_s, return_when="FIRST_COMPLETED"
        )
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()  # a Problem in a loop is everybody's

    async def _reconcile(self, source: Running) -> None:
        while True:
            source.changed.clear()
            again_s = await self._settle(source)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(source.changed.wait(), again_s)

    async def _settle(self, source: Running) -> float | None:
        """Sync until the status stays; the seconds after which the hook wants to be asked again."""
        again_s: float | None = None
        for _ in range(SETTLE_SYNCS):
            observed = {name: it.observed for name, it in source.deployments.items()}
            assert self._hook is not None
            answer = await self._hook.sync(source.parent, source.types, observed, source.related)
            again_s = answer.get("resyncAfterSeconds") or None
            before = source.parent.get("status")
            source.parent["status"] = {
                **answer["status"],
                "observedGeneration": source.parent["metadata"]["generation"],
            }
            self._show(source)
            applied = await self._apply(source, answer.get("children") or [])
            if source.parent["status"] == before and not applied:
                break
        return again_s

    async def _apply(self, source: Running, children: Sequence[Json]) -> bool:
        """Make the processes what the hook wants; whether any had to change."""
        namespace = source.parent["metadata"]["namespace"]
        stored = [{**it, "metadata": {"namespace": namespace, **it["metadata"]}} for it in children]
        wanted = {key(child): child for child in stored if child["kind"] == "Deployment"}
        stale = [name for name, it in source.deployments.items() if it.desired != wanted.get(name)]
        for name in stale:
            await source.deployments[name].stop()
            del source.deployments[name]
        fresh = [name for name in wanted if name not in source.deployments]
        for name in fresh:
            self._sources |= {it: source for it in (event_source(wanted[name]), key(source.parent)) if it}
            source.deployments[name] = self._deployment(wanted[name], source.changed, source.name)
        return bool(stale or fresh)

    async def _start_displays(self) -> None:
        for desired in self._documents.of_kind("apps/v1", "Deployment"):
            if is_display(desired):
                self._displays[key(desired)] = self._deployment(desired, asyncio.Event(), desired["metadata"]["name"])
            else:
                _say(f"Deployment {key(desired)} is not started here: only `python -m adapter.display` is")
        await asyncio.gather(*(display.ready(DISPLAY_START_S) for display in self._displays.values()))

    def _deployment(self, desired: Json, changed: asyncio.Event, name: str) -> LocalDeployment:
        def crashed(code: int, error: str, wait_s: float) -> None:
            _say(f"{name}: process exited with code {code}: {error or 'no message'} (starts again in {wait_s:.0f}s)")

        on_line = self._event if is_display(desired) else self._log
        return LocalDeployment(
            desired, self._service_ports(), changed=changed.set, on_line=on_line, on_log=self._log, crashed=crashed
        )

    def _service_ports(self) -> LocalPorts:
        return {
            (service["metadata"]["namespace"], service["metadata"]["name"]): display.port
            for service in self._documents.of_kind("v1", "Service")
            for display in self._displays.values()
            if stands_for(service, display.desired)
        }

    def _event(self, line: str) -> None:
        event = event_of(line)
        if event is None:
            return self._log(line)
        source = self._sources.get(event["source"])
        if source:
            source.events += 1
        name = source.name if source else event["source"]
        print(self._table.event(name, event, datetime.now().astimezone()), flush=True)

    def _show(self, source: Running) -> None:
        ready = ready_condition(source.parent["status"])
        now_shown = (ready.get("status"), ready.get("reason"), ready.get("message"))
        if now_shown != source.shown:
            source.shown = now_shown
            print(self._table.row(source.parent, source.events, datetime.now(UTC)), flush=True)

    def _log(self, line: str) -> None:
        if self._options.logs:
            _say(line)

    async def _drain(self) -> None:
        """Adapters first, so that what they have in hand still arrives; then the sinks, then the hook."""
        adapters = [it for source in self._running for it in source.deployments.values()]
        await asyncio.gather(*(adapter.stop() for adapter in adapters))
        await asyncio.gather(*(display.stop() for display in self._displays.values()))
        if self._hook:
            await self._hook.stop()
        for source in self._running:
            codes = ", ".join(str(it.exit_code) for it in source.deployments.values())
            ended = f"; its adapter's exit code: {codes}" if codes else "; no adapter ran"
            print(f"{source.name}: {source.events} events arrived{ended}", flush=True)

    def _all_deployments(self) -> list[LocalDeployment]:
        return [*(it for source in self._running for it in source.deployments.values()), *self._displays.values()]


@contextlib.asynccontextmanager
async def _signals(stop: asyncio.Event, cluster: Cluster) -> AsyncIterator[None]:
    """The first Ctrl-C or SIGTERM drains; the second does not wait. During the start it waits for the start."""
    loop = asyncio.get_running_loop()

    def handle() -> None:
        if stop.is_set():
            cluster.kill()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
