"""A Deployment as one local process, and that process as the status Kubernetes would show."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2

from adapter.contract import format_time
from hooks.dev.expansion import container_environ
from hooks.dev.objects import LocalPorts, container, deployment_status, is_display, local_url
from hooks.dev.process import OnLine, Process, free_port

Json = Any
BACKOFF_S = (1.0, 30.0)  # first and longest wait before a restart
PROBE_EVERY_S = 0.2

Crashed = Callable[[int, str, float], None]  # exit code, last stderr line, seconds until the restart


class LocalDeployment:
    """Keeps one replica running until stopped. ``changed`` is called whenever ``observed`` shows something else."""

    def __init__(self, desired: Json, ports: LocalPorts, *, changed: Callable[[], None], on_line: OnLine,
                 on_log: OnLine, crashed: Crashed) -> None:  # fmt: skip
        self.desired = desired
        self.port, self.health_port = free_port(), free_port()
        self.exit_code: int | None = None
        self._ports = ports
        self._changed, self._on_line, self._on_log, self._crashed = changed, on_line, on_log, crashed
        self._created = format_time(datetime.now(UTC))
        self._ready = False
        self._was_ready = asyncio.Event()
        self._failure: str | None = None
        self._process: Process | None = None
        self._environ = self.environ()
        self._task = asyncio.create_task(self._keep_running())

    @property
    def displays(self) -> bool:
        return is_display(self.desired)

    @property
    def observed(self) -> Json:
        """The object as the API server would hold it now."""
        metadata = {"generation": 1, "creationTimestamp": self._created, **self.desired["metadata"]}
        return {**self.desired, "metadata": metadata, "status": self._status()}

    def environ(self) -> dict[str, str]:
        """Exactly the container's environment; only ports and the Service's address are this machine's."""
        metadata = self.desired["metadata"]
        pod = {"metadata.namespace": metadata["namespace"], "metadata.name": f"{metadata['name']}-local"}
        environ = container_environ(container(self.desired).get("env", []), pod)
        if "K_SINK" in environ:
            environ["K_SINK"] = local_url(environ["K_SINK"], self._ports)
        return {**environ, "PORT": str(self.port), "HEALTH_PORT": str(self.health_port)}

    async def ready(self, deadline_s: float) -> bool:
        """Whether it became ready in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._was_ready.wait(), deadline_s)
        return self._was_ready.is_set()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._process and self._process.running:
            grace_s = self.desired["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
            self.exit_code = await self._process.stop(grace_s)

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    async def _keep_running(self) -> None:
        wait_s, longest_s = BACKOFF_S
        while True:
            module = ["adapter.display", "--format", "jsonl"] if self.displays else ["adapter"]
            self._process = await self._start(module)
            probe = asyncio.create_task(self._probe())
            try:
                self.exit_code = await self._process.wait()
            finally:
                probe.cancel()
            if self._ready:
                wait_s = BACKOFF_S[0]
            error = self._process.last_error
            self._show(ready=False, failure=f"{' '.join(module)} exited with code {self.exit_code}: {error}")
            self._crashed(self.exit_code, error, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, longest_s)

    async def _start(self, module: list[str]) -> Process:
        """A stop that comes meanwhile must find the process it has to end."""
        starting = asyncio.create_task(Process.start(module, self._environ, self._on_line, self._on_log))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._process = await starting
            raise

    async def _probe(self) -> None:
        port, path = (self.port, "/healthz") if self.displays else (self.health_port, "/readiness")
        async with httpx2.AsyncClient(timeout=1, trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}{path}")).is_success:
                        break
                await asyncio.sleep(PROBE_EVERY_S)
        self._was_ready.set()
        self._show(ready=True, failure=None)

    def _show(self, *, ready: bool, failure: str | None) -> None:
        self._ready, self._failure = ready, failure
        self._changed()

    def _status(self) -> Json:
        return deployment_status(ready=self._ready, was_ready=self._was_ready.is_set(), failure=self._failure)
