"""One replica of a Deployment as a local process. It is probed and restarted as by a kubelet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from adapter.contract.crash import crash_cause
from adapter.contract.formats import Json, printable
from sources_cli.local.checkpoints import Checkpoints
from sources_cli.local.environ import Values, container_environ, proxies_of
from sources_cli.local.objects import DISPLAY_MODULE, LocalPorts, ReplicaState, container, is_display, local_url
from sources_cli.local.process import OnLine, Process, exit_text, free_port
from sources_cli.local.service import ServicePorts
from sources_cli.local.tls_secrets import TlsSecrets
from sources_cli.problem import Problem

BACKOFF_S = (1.0, 30.0)  # first and longest wait before a restart
PROBE_EVERY_S = (0.2, 1.0)  # until ready, and afterwards
UNREADY_S = 5.0  # after this time, show why a process is not ready yet
REASON_LENGTH = 400


@dataclass(frozen=True)
class ClusterEnv:
    """What a cluster provides to a Deployment: Services, Secrets, ConfigMaps, and functions that receive its output."""

    ports: Callable[[], LocalPorts]
    values: Callable[[], Values]
    on_event: OnLine  # a line of a display
    on_log: OnLine
    message: OnLine
    supervise: Callable[[asyncio.Future[Any]], None]  # gets each background task; an error in one ends the run
    service_ports: ServicePorts
    checkpoints: Checkpoints
    package: str  # SOURCES_PACKAGE, which an image sets in a cluster
    once: bool = False  # `sources run` waits for the first event of each source


def projected_tokens(deployment: Json) -> TemporaryDirectory[str] | None:
    """Unsigned tokens in place of the ServiceAccount tokens that a kubelet would mount. Each contains its audience."""
    directory = None
    for volume in deployment["spec"]["template"]["spec"].get("volumes", []):
        for source in (volume.get("projected") or {}).get("sources", []):
            if token := source.get("serviceAccountToken"):
                directory = directory or TemporaryDirectory(prefix="sources-tokens-")
                Path(directory.name, token["path"]).write_text(f"unsigned-token-for-{token['audience']}")
    return directory


def readiness_message(response: httpx2.Response) -> str | None:
    """Why an adapter is not ready, from the body of its readiness response. A kubelet does not report this."""
    text = printable(" ".join(response.text.split()))[:REASON_LENGTH]
    return f"not ready: {text}" if text else None


class Replica:
    """A process in place of one pod. It is probed, and restarted when it ends."""

    def __init__(self, desired: Json, cluster: ClusterEnv, name: str, changed: Callable[[], None]) -> None:
        self.desired = desired
        self.port, self.health_port = free_port(), free_port()
        self.exit_code: int | None = None
        self.state = ReplicaState()
        self.became_ready = asyncio.Event()
        self._cluster = cluster
        self._name = name
        self._changed = changed
        self._tokens = projected_tokens(desired)
        self._tls_secrets = TlsSecrets(desired)
        self._process: Process | None = None
        self._task = asyncio.create_task(self._keep_running())
        cluster.supervise(self._task)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._process:
            grace_s = self.desired["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
            self.exit_code = await self._process.stop(grace_s)
        if self._tokens:
            self._tokens.cleanup()
        self._tls_secrets.remove()

    def kill(self) -> None:
        self._task.cancel()
        if self._process:
            self._process.kill()

    def environ(self) -> dict[str, str]:
        """The container's environment, with ports and URLs of this machine."""
        metadata = self.desired["metadata"]
        pod = {"metadata.namespace": metadata["namespace"], "metadata.name": f"{metadata['name']}-local"}
        environ = container_environ(container(self.desired).get("env", []), pod, self._cluster.values())
        if is_display(self.desired):  # its variables come from a file, and PYTHONPATH or LD_PRELOAD would run code
            environ = {}
        if self._tokens:
            environ["TOKEN_DIRECTORY"] = self._tokens.name
        environ |= self._tls_secrets.environ(self._cluster.values())
        environ.setdefault("SOURCES_PACKAGE", self._cluster.package)
        environ |= self._cluster.checkpoints.environ(environ, self._cluster.message)
        for variable in ("K_SINK", "DEAD_LETTER_SINK"):
            if variable in environ:
                environ[variable] = local_url(environ[variable], self._cluster.ports())
        own = {name: str(self.port) for name in ("PORT", "POOL_PORT")} | {"HEALTH_PORT": str(self.health_port)}
        return {**proxies_of(os.environ, environ), **environ, **own}

    async def _keep_running(self) -> None:
        wait_s, longest_s = BACKOFF_S
        while True:
            failure = await self._run_once()
            if self.state.ready:
                wait_s = BACKOFF_S[0]
            self._cluster.message(f"{self._name}: {failure} (restarts in {wait_s:.0f}s)")
            self._show(ready=False, failure=failure)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, longest_s)

    async def _run_once(self) -> str:
        """Runs the process until it ends. Returns why it ended."""
        try:
            environ = self.environ()
        except Problem as problem:
            return f"CreateContainerConfigError: {problem}"
        # Whoever reaches the port of a display can read the events on its page.
        display = [DISPLAY_MODULE, "--host", "127.0.0.1", "--format", "jsonl"]
        own = container(self.desired).get("command", [])[2:] or ["adapter"]  # python -m MODULE
        module = display if is_display(self.desired) else own
        self._process = await self._start(module, environ)
        probe = asyncio.create_task(self._probe())
        self._cluster.supervise(probe)
        try:
            self.exit_code = await self._process.wait()
        finally:
            probe.cancel()
        cause = crash_cause(self._process.last_error) or "no message"
        return f"process exited with code {exit_text(self.exit_code)}: {cause}"

    async def _start(self, module: list[str], environ: dict[str, str]) -> Process:
        """Starts the process. Sets ``self._process`` even if it is cancelled, so that ``stop`` can stop the process."""
        on_line = self._cluster.on_event if is_display(self.desired) else self._cluster.on_log
        starting = asyncio.create_task(Process.start(module, environ, on_line, self._cluster.on_log))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._process = await starting
            raise

    async def _probe(self) -> None:
        port, path = (self.port, "/healthz") if is_display(self.desired) else (self.health_port, "/readiness")
        now = asyncio.get_running_loop().time
        explain_from = now() + UNREADY_S
        async with httpx2.AsyncClient(timeout=1, trust_env=False) as client:
            while True:
                explain = self.state.was_ready or now() > explain_from
                ready, failure = await self._probe_once(client, f"http://127.0.0.1:{port}{path}", explain=explain)
                if (ready, failure) != (self.state.ready, self.state.failure):
                    self._show(ready=ready, failure=failure)
                await asyncio.sleep(PROBE_EVERY_S[self.state.ready])

    async def _probe_once(self, client: httpx2.AsyncClient, url: str, *, explain: bool) -> tuple[bool, str | None]:
        """Whether the process is ready, and if not, the last known reason."""
        failure = None if self.state.ready else self.state.failure
        try:
            response = await client.get(url)
        except httpx2.TransportError:
            return False, failure
        if response.is_success:
            return True, None
        return False, (explain and readiness_message(response)) or failure

    def _show(self, *, ready: bool, failure: str | None) -> None:
        self.state = ReplicaState(ready, self.state.was_ready or ready, failure)
        if ready:
            self.became_ready.set()
        self._changed()
