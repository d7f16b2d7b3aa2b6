"""One replica of a Deployment as a local process: started again as a kubelet would, and probed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from adapter.display import printable
from sources_cli.local.environ import Values, container_environ
from sources_cli.local.objects import LocalPorts, ReplicaState, container, is_display, local_url
from sources_cli.local.process import OnLine, Process, free_port
from sources_cli.problem import Problem

Json = Any
BACKOFF_S = (1.0, 30.0)  # first and longest wait before a restart
PROBE_EVERY_S = (0.2, 1.0)  # until ready, from then on
UNREADY_S = 5.0  # what a process that was never ready says of it is shown after that long
REASON_LENGTH = 300


@dataclass(frozen=True)
class Surroundings:
    """What a cluster has around a Deployment: Services, Secrets, ConfigMaps, and somebody who listens."""

    ports: Callable[[], LocalPorts]
    values: Callable[[], Values]
    on_event: OnLine  # a line of a display
    on_log: OnLine
    say: OnLine
    package: str = "adapter.sources"  # as an image sets SOURCES_PACKAGE
    once: bool = False  # a first event is waited for


def tokens(deployment: Json) -> TemporaryDirectory[str] | None:
    """What a kubelet would mount where the pod asks for tokens: files that say whom they are for, signed by nobody."""
    directory = None
    for volume in deployment["spec"]["template"]["spec"].get("volumes", []):
        for source in (volume.get("projected") or {}).get("sources", []):
            if token := source.get("serviceAccountToken"):
                directory = directory or TemporaryDirectory(prefix="sources-tokens-")
                Path(directory.name, token["path"]).write_text(f"unsigned-token-for-{token['audience']}")
    return directory


def unready(answer: httpx2.Response) -> str | None:
    """What an adapter's readiness says against it, which no kubelet passes on."""
    said = printable(" ".join(answer.text.split()))[:REASON_LENGTH]
    return f"not ready: {said}" if said else None


class Replica:
    """One pod's worth: a process that is started again when it ends, and is probed."""

    def __init__(self, desired: Json, surroundings: Surroundings, name: str, changed: Callable[[], None]) -> None:
        self.desired = desired
        self.port, self.health_port = free_port(), free_port()
        self.exit_code: int | None = None
        self.state = ReplicaState()
        self.became_ready = asyncio.Event()
        self._surroundings = surroundings
        self._name = name
        self._changed = changed
        self._tokens = tokens(desired)
        self._process: Process | None = None
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._process and self._process.running:
            grace_s = self.desired["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
            self.exit_code = await self._process.stop(grace_s)
        if self._tokens:
            self._tokens.cleanup()

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def environ(self) -> dict[str, str]:
        """Exactly the container's environment; only ports and the Service's address are this machine's."""
        metadata = self.desired["metadata"]
        pod = {"metadata.namespace": metadata["namespace"], "metadata.name": f"{metadata['name']}-local"}
        environ = container_environ(container(self.desired).get("env", []), pod, self._surroundings.values())
        if self._tokens:
            environ["TOKEN_DIRECTORY"] = self._tokens.name
        environ.setdefault("SOURCES_PACKAGE", self._surroundings.package)
        for variable in ("K_SINK", "DEAD_LETTER_SINK"):
            if variable in environ:
                environ[variable] = local_url(environ[variable], self._surroundings.ports())
        return {**environ, "PORT": str(self.port), "HEALTH_PORT": str(self.health_port)}

    async def _keep_running(self) -> None:
        wait_s, longest_s = BACKOFF_S
        while True:
            failure = await self._run_once()
            if self.state.ready:
                wait_s = BACKOFF_S[0]
            self._surroundings.say(f"{self._name}: {failure} (starts again in {wait_s:.0f}s)")
            self._show(ready=False, failure=failure)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, longest_s)

    async def _run_once(self) -> str:
        """Until the process ends; what is to be said of it."""
        try:
            environ = self.environ()
        except Problem as problem:
            return f"CreateContainerConfigError: {problem}"
        module = ["adapter.display", "--format", "jsonl"] if is_display(self.desired) else ["adapter"]
        self._process = await self._start(module, environ)
        probe = asyncio.create_task(self._probe())
        try:
            self.exit_code = await self._process.wait()
        finally:
            probe.cancel()
        return f"process exited with code {self.exit_code}: {self._process.last_error or 'no message'}"

    async def _start(self, module: list[str], environ: dict[str, str]) -> Process:
        """A stop that comes meanwhile must find the process it has to end."""
        on_line = self._surroundings.on_event if is_display(self.desired) else self._surroundings.on_log
        starting = asyncio.create_task(Process.start(module, environ, on_line, self._surroundings.on_log))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._process = await starting
            raise

    async def _probe(self) -> None:
        port, path = (self.port, "/healthz") if is_display(self.desired) else (self.health_port, "/readiness")
        async with httpx2.AsyncClient(timeout=1, trust_env=False) as client:
            shown_from = asyncio.get_running_loop().time() + UNREADY_S
            while True:
                ready, failure = False, None if self.state.ready else self.state.failure
                with contextlib.suppress(httpx2.TransportError):
                    answer = await client.get(f"http://127.0.0.1:{port}{path}")
                    ready = answer.is_success
                    if ready:
                        failure = None
                    elif self.state.was_ready or asyncio.get_running_loop().time() > shown_from:
                        failure = unready(answer) or failure
                if (ready, failure) != (self.state.ready, self.state.failure):
                    self._show(ready=ready, failure=failure)
                await asyncio.sleep(PROBE_EVERY_S[self.state.ready])

    def _show(self, *, ready: bool, failure: str | None) -> None:
        self.state = ReplicaState(ready, self.state.was_ready or ready, failure)
        if ready:
            self.became_ready.set()
        self._changed()
