"""``sources run``: runs the hook, the adapters and their sinks on this machine, without a cluster.

The objects of the files are sent to the real hook. Its responses become local processes. Their state becomes the
status of Deployments, which is sent to the hook again, until nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

from adapter.loading import describe_error
from adapter.serving.failures import author_line
from sources_cli.admission.adapter_defaults import read_adapter_defaults, read_checkpoint_default
from sources_cli.admission.documents import Documents, Files, key, read_documents
from sources_cli.arguments import RunOptions
from sources_cli.kind import ClusterOptions
from sources_cli.local.browser import open_page
from sources_cli.local.checkpoints import Checkpoints
from sources_cli.local.controller import SourceController
from sources_cli.local.deployment import LocalDeployment
from sources_cli.local.hook import Hook
from sources_cli.local.objects import DISPLAY_MODULE, LocalPorts, is_display, parse_event, selects
from sources_cli.local.pools.pools import LocalPools
from sources_cli.local.process import on_signal
from sources_cli.local.replica import ClusterEnv
from sources_cli.local.service import ServicePorts
from sources_cli.local.watch import contents_of, edits
from sources_cli.problem import Problem
from sources_cli.screen import stdout
from sources_cli.screen.failures import Failures
from sources_cli.screen.plain import PlainScreen, Screen

DISPLAY_START_S = 60.0
SILENT_STOP_S = 3.0  # then say what the run waits for


async def run(options: RunOptions, screen: Callable[[Documents], Screen] | None = None) -> int:
    """The exit code: 0, or 1 if ``once`` is set and a source was not ready or no event of it arrived in time."""
    contents = contents_of(options.files)  # before they are read, so that no later edit is missed
    with contextlib.closing(Checkpoints(kept=not options.once, fresh=options.fresh)) as checkpoints:
        files = Files(
            options.files,
            options.package,
            sink=options.sink,
            identity=checkpoints.identity,
            checkpoint=read_checkpoint_default(options.checkpoint),
        )
        documents = read_documents(files)
        cluster = Cluster(options, files, documents, contents, (screen or _screen)(documents), checkpoints)
        with on_signal(cluster.interrupt):
            try:
                await cluster.run()
            except Exception as error:
                raise _reported(error) from error
    missing = cluster.missing if options.once else []
    for text in missing:
        stdout.complain(f"sources: --once: {text}")
    return 1 if missing else 0


class Cluster:
    def __init__(
        self,
        options: RunOptions,
        files: Files,
        documents: Documents,
        contents: Mapping[Path, bytes],
        screen: Screen,
        checkpoints: Checkpoints,
    ) -> None:
        self._options = options
        self._files = files
        self._documents = documents
        self._contents = contents  # of the files, from before the documents were read
        self._screen = screen
        self._failures = Failures()
        self._controllers: dict[str, SourceController] = {}  # "Kind namespace/name" -> controller
        self._deployments_seen: set[str] = set()  # the "namespace/name" of the Deployments in the files
        self._displays: dict[str, LocalDeployment] = {}
        self._hook: Hook | None = None
        self._defaults = ClusterOptions(
            read_adapter_defaults(options.adapter_defaults), checkpoint=read_checkpoint_default(options.checkpoint)
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._end = asyncio.Event()
        self._failure: BaseException | None = None  # of a background task
        self._env = ClusterEnv(
            ports=self._service_ports,
            values=lambda: self._documents.values,
            on_event=self._on_event,
            on_log=self._on_log,
            message=screen.message,
            supervise=self._supervise,
            service_ports=ServicePorts(options.listen_port, screen.message),
            checkpoints=checkpoints,
            package=options.package,
            once=options.once,
        )
        self._pools = LocalPools(self._env, self._controllers.values, self._start)

    @property
    def missing(self) -> list[str]:
        """Which sources are not Ready, or have a local display as their sink and sent no event yet."""
        return list(filter(None, (source.missing for source in self._controllers.values())))

    async def run(self) -> None:
        """Runs until ``interrupt``, the time limit, or the first events with ``once``. Raises an error of a task."""
        try:
            kinds, port = self._documents.sink_kinds, self._options.hook_port
            pools = await self._pools.settings(self._documents)
            self._hook = await Hook.start(port, kinds, self._on_log, cluster=self._defaults, pools=pools)
            self._supervise(self._hook.process.output)
            self._screen.start(self._supervise)
            await self._start_displays()
            self._apply(self._hook)
            if self._options.open_page:
                self._start(self._open_page())
            self._start(self._watch(self._hook))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.limit_s):
                    await self._end.wait()
            self._end.set()
            await self._cancel_tasks()
        finally:
            await self._drain()
        if self._failure:
            raise self._failure

    def interrupt(self) -> None:
        """Ends the run. If the run has ended already, kills the processes that are still stopping."""
        if self._end.is_set():
            for deployment in self._deployments():
                deployment.kill()
        self._end.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))
        self._supervise(self._tasks[-1])

    def _supervise(self, task: asyncio.Future[Any]) -> None:
        """An error in ``task`` ends the run."""
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failure = self._failure or error
            self._end.set()

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, hook: Hook) -> None:
        """Applies each edit of a file as ``kubectl apply`` would. An invalid file changes nothing."""
        async for _ in edits(self._files.paths, self._contents):
            self._documents, problems = self._files.read()
            hook.sink_kinds = self._documents.sink_kinds
            self._screen.problems([f"not applied: {problem}" for problem in problems])
            await self._start_displays()
            self._apply(hook)

    def _apply(self, hook: Hook) -> None:
        self._pools.apply(self._documents, hook)
        for source in self._documents.sources:
            name = f"{source['kind']} {key(source)}"
            if name in self._controllers:
                self._controllers[name].edit(source.get("spec"), source["metadata"].get("annotations"))
            else:
                self._controllers[name] = SourceController(source, hook, self._env, self._show, self._pools.of)
                self._start(self._controllers[name].reconcile(lambda: self._documents))
        for controller in self._controllers.values():
            controller.wake()

    async def _start_displays(self) -> None:
        """Starts the displays that do not run yet. They get no later edits."""
        for desired in self._documents.of_kind("apps/v1", "Deployment"):
            if key(desired) in self._deployments_seen:
                continue
            self._deployments_seen.add(key(desired))
            if is_display(desired):
                name = desired["metadata"]["name"]
                self._displays[key(desired)] = display = LocalDeployment(desired, self._env, name, lambda: None)
                if not self._options.once:  # the page would be gone at once
                    self._screen.page(name, display.page_url)
            else:
                self._screen.message(
                    f"Deployment {key(desired)} is skipped: `sources run` starts only `python -m {DISPLAY_MODULE}`"
                )
        await asyncio.gather(*(display.wait_until_ready(DISPLAY_START_S) for display in self._displays.values()))

    async def _open_page(self) -> None:
        """Opens the page of the first display."""
        url = next((display.page_url for display in self._displays.values()), None)
        if problem := await asyncio.to_thread(open_page, url):
            self._screen.message(problem)

    def _service_ports(self) -> LocalPorts:
        return {
            (service["metadata"]["namespace"], service["metadata"]["name"]): display.port
            for service in self._documents.of_kind("v1", "Service")
            for display in self._displays.values()
            if display.port and selects(service, display.desired)
        }

    def _on_event(self, line: str) -> None:
        event = parse_event(line)
        if event is None:
            return self._on_log(line)
        emitting = (controller for controller in self._controllers.values() if controller.emits(event["source"]))
        emitter = next(emitting, None)
        self._screen.event(emitter.name if emitter else event["source"], event)
        if emitter:
            emitter.events += 1
            self._show(emitter)

    def _show(self, controller: SourceController) -> None:
        if pool := self._pools.of(controller.source):
            pool.wake()  # its list is made from the statuses of its sources
        self._screen.row(controller.source, controller.events, controller.url)
        if self._options.once and not self.missing:
            self._end.set()

    def _on_log(self, line: str) -> None:
        failure = self._failures.shown(line)
        if self._options.logs:
            self._screen.message(line)
        elif failure:
            self._screen.message(failure)

    async def _drain(self) -> None:
        """Stops the adapters, then the sinks, then the hook. So the last events of the adapters still arrive."""
        stopping = asyncio.gather(*(controller.stop() for controller in self._controllers.values()), self._pools.stop())
        done, _ = await asyncio.wait([stopping], timeout=SILENT_STOP_S)
        if not done:
            self._screen.message("waiting for the events that are in flight; press Ctrl-C to drop them")
        await stopping
        await asyncio.gather(*(display.stop() for display in self._displays.values()))
        if self._hook:
            await self._hook.stop()
        await self._pools.close()
        await self._screen.close()
        for controller in self._controllers.values():
            stdout.show(controller.summary(self._failures.repeated(key(controller.source))))

    def _deployments(self) -> Iterator[LocalDeployment]:
        for controller in self._controllers.values():
            yield from controller.deployments.values()
        yield from self._displays.values()
        yield from self._pools.deployments()


def _reported(error: Exception) -> Exception:
    """The error itself if the command can report it, otherwise a sentence about it."""
    if isinstance(error, Problem | OSError):
        return error
    line = author_line(error, "sources_cli")
    return Problem(f"the run ended because of a bug in sources: {describe_error(error)} ({line}); please report it")


def _screen(documents: Documents) -> Screen:
    if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb"):
        from sources_cli.screen.live import LiveScreen  # rich is slow to import

        return LiveScreen()
    return PlainScreen(documents.sources)
