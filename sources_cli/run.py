"""``sources run``: the part of a cluster around the hook, on one machine.

Files -> the real hook's answers -> local processes -> their state -> the hook again, until nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sources_cli.admission.documents import Documents, key, read_documents
from sources_cli.local.controller import RunningSource
from sources_cli.local.deployment import LocalDeployment
from sources_cli.local.hook import Hook
from sources_cli.local.objects import LocalPorts, event_of, is_display, stands_for
from sources_cli.local.replica import Surroundings
from sources_cli.local.watch import edits
from sources_cli.problem import Problem
from sources_cli.screen.plain import PlainScreen, Screen, trouble

Json = Any
DISPLAY_START_S = 20.0
ONCE_S = 60.0  # how long --once waits where --for says nothing


@dataclass(frozen=True)
class Options:
    files: Sequence[Path]
    package: str = "adapter.sources"
    for_s: float | None = None
    hook_port: int = 0
    logs: bool = False
    once: bool = False
    sink: str | None = None


async def run(options: Options) -> int:
    """0; with ``once``, 1 where a source was not ready or brought no event in time."""
    documents = _read(options)
    stop = asyncio.Event()
    cluster = Cluster(options, documents, _screen(documents))
    async with _signals(stop, cluster):
        await cluster.run(stop)
    return 0 if cluster.satisfied or not options.once else 1


class Cluster:
    def __init__(self, options: Options, documents: Documents, screen: Screen) -> None:
        self._options = options
        self._documents = documents
        self._screen = screen
        self._running: dict[str, RunningSource] = {}  # "Kind namespace/name" -> source
        self._displays: dict[str, LocalDeployment] = {}
        self._hook: Hook | None = None
        self._seen_all = asyncio.Event()
        self._loops: set[asyncio.Task[None]] = set()
        self._surroundings = Surroundings(
            ports=self._service_ports,
            values=lambda: self._documents.values,
            on_event=self._event,
            on_log=self._log,
            say=screen.say,
            package=self._options.package,
            once=self._options.once,
        )

    @property
    def satisfied(self) -> bool:
        """Every source is Ready and its first event arrived - where there is a display to see it arrive."""
        return all(it.ready and (it.events or not self._displays) for it in self._running.values())

    async def run(self, stop: asyncio.Event) -> None:
        try:
            self._hook = await Hook.start(self._options.hook_port, self._documents.sink_kinds, self._log)
            await self._start_displays()
            self._screen.start()
            self._take(self._documents)
            await self._until(stop)
        finally:
            await self._drain()

    def kill(self) -> None:
        """Somebody is out of patience."""
        for deployment in self._all_deployments():
            deployment.kill()

    async def _until(self, stop: asyncio.Event) -> None:
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(self._watch())]
        if self._options.once:
            ends.append(asyncio.create_task(self._seen_all.wait()))
        loop = asyncio.get_running_loop()
        for_s = self._options.for_s or (ONCE_S if self._options.once else None)
        deadline = None if for_s is None else loop.time() + for_s
        done: set[asyncio.Task[Any]] = set()
        while not done and (deadline is None or loop.time() < deadline):
            # An edit may add a source, and with it a loop: look again now and then.
            tasks = [*ends, *self._loops]
            wait_s = 1.0 if deadline is None else min(1.0, deadline - loop.time())
            done, _ = await asyncio.wait(tasks, timeout=wait_s, return_when="FIRST_COMPLETED")
        pending = [task for task in (*ends, *self._loops) if not task.done()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()  # a Problem in a loop is everybody's

    async def _watch(self) -> None:
        """An edit of a file is taken as ``kubectl apply`` would; what cannot be read leaves all as it is."""
        async for _ in edits(self._options.files):
            try:
                documents = _read(self._options)
            except Problem as problem:
                self._screen.say(f"not applied: {problem}")
            else:
                self._take(documents)

    def _take(self, documents: Documents) -> None:
        assert self._hook is not None
        self._documents = documents
        for parent in documents.sources:
            name = f"{parent['kind']} {key(parent)}"
            if name in self._running:
                self._running[name].edit(parent.get("spec"), parent["metadata"].get("annotations"))
                continue
            source = RunningSource(parent, self._hook, self._surroundings, self._show)
            self._running[name] = source
            self._loops.add(asyncio.create_task(source.reconcile(lambda: self._documents)))
        for source in self._running.values():
            source.wake()

    async def _start_displays(self) -> None:
        for desired in self._documents.of_kind("apps/v1", "Deployment"):
            if is_display(desired):
                name = desired["metadata"]["name"]
                self._displays[key(desired)] = LocalDeployment(desired, self._surroundings, name, lambda: None)
            else:
                self._screen.say(f"Deployment {key(desired)} is not started here: only `python -m adapter.display` is")
        await asyncio.gather(*(display.ready(DISPLAY_START_S) for display in self._displays.values()))

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
        source = next((it for it in self._running.values() if it.emits(event["source"])), None)
        self._screen.event(source.name if source else event["source"], event)
        if source:
            source.events += 1
            self._show(source)

    def _show(self, source: RunningSource) -> None:
        self._screen.row(source.parent, source.events)
        if self.satisfied:
            self._seen_all.set()

    def _log(self, line: str) -> None:
        if self._options.logs:
            self._screen.say(line)
        elif told := trouble(line):
            self._screen.say(told)

    async def _drain(self) -> None:
        """Adapters first, so that what they have in hand still arrives; then the sinks, then the hook."""
        await asyncio.gather(*(source.stop() for source in self._running.values()))
        await asyncio.gather(*(display.stop() for display in self._displays.values()))
        if self._hook:
            await self._hook.stop()
        await self._screen.close()
        for source in self._running.values():
            codes = ", ".join(str(it.exit_code) for it in source.deployments.values())
            ended = f"; its adapter's exit code: {codes}" if codes else "; no adapter ran"
            print(f"{source.name}: {source.events} event{'' if source.events == 1 else 's'} arrived{ended}", flush=True)

    def _all_deployments(self) -> list[LocalDeployment]:
        adapters = [it for source in self._running.values() for it in source.deployments.values()]
        return [*adapters, *self._displays.values()]


def _read(options: Options) -> Documents:
    """The files; with ``--sink`` every source sends there."""
    return read_documents(options.files, options.package, sink=options.sink)


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


def _screen(documents: Documents) -> Screen:
    if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb"):
        from sources_cli.screen.live import LiveScreen  # rich takes its time to load

        return LiveScreen()
    return PlainScreen(documents.sources)
