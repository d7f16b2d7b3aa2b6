"""A Deployment as local processes: one replica, two while a new template rolls out, none while it is suspended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from adapter.contract.formats import Json, format_time
from sources_cli.local.objects import deployment_status, wants_process
from sources_cli.local.replica import ClusterEnv, Replica


class LocalDeployment:
    """``changed`` is called after each change of ``observed``. Messages begin with ``name``."""

    def __init__(self, desired: Json, cluster: ClusterEnv, name: str, changed: Callable[[], None]) -> None:
        self.desired = desired
        self._generation = 1
        self._created = format_time(datetime.now(UTC))
        self._cluster = cluster
        self._name = name
        self._changed = changed
        self._newest = self._started()
        self._old: Replica | None = None
        self._rollout: asyncio.Task[None] | None = None
        self._stopping: dict[Replica, asyncio.Task[None]] = {}  # after a suspension
        self._exit_code: int | None = None  # of the last replica that stopped so

    @property
    def port(self) -> int | None:
        return self._newest.port if self._newest else None

    @property
    def page_url(self) -> str:
        """The live page, if this is a display."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def ready_port(self) -> int | None:
        """The port of the newest replica that is ready."""
        replicas = (replica for replica in (self._newest, self._old) if replica)
        return next((replica.port for replica in replicas if replica.state.ready), None)

    @property
    def exit_code(self) -> int | None:
        return self._newest.exit_code if self._newest else self._exit_code

    @property
    def observed(self) -> Json:
        """The object as the API server would store it now."""
        metadata = {**self.desired["metadata"], "generation": self._generation, "creationTimestamp": self._created}
        status = deployment_status(
            generation=self._generation,
            newest=self._newest.state if self._newest else None,
            old=self._old.state if self._old else None,
            wanted=self.desired["spec"].get("replicas", 1),
            terminating=len(self._stopping),
        )
        return {**self.desired, "metadata": metadata, "status": status}

    def apply(self, desired: Json) -> bool:
        """Returns whether ``desired`` is a change. Rolls out a new template, in the background.

        The old process stops when the new one is ready. Without replicas, all processes stop.
        """
        if desired == self.desired:
            return False
        has_new_template = desired["spec"]["template"] != self.desired["spec"]["template"]
        self.desired = desired
        self._generation += 1
        if self._newest is None:
            self._newest = self._started()
        elif not wants_process(desired):
            self._suspend()
        elif has_new_template:
            superseded = self._newest if self._old else None  # it never became ready: the old one is still running
            self._old = self._old or self._newest
            self._newest = Replica(desired, self._cluster, self._name, self._changed)
            self._rollout = asyncio.create_task(self._roll_out(self._newest, self._rollout, superseded))
            self._cluster.supervise(self._rollout)
        return True

    async def wait_until_ready(self, timeout_s: float) -> bool:
        """Returns whether the newest replica became ready within ``timeout_s``."""
        if self._newest is None:
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._newest.became_ready.wait(), timeout_s)
        return self._newest.became_ready.is_set()

    async def stop(self) -> None:
        if self._rollout:
            self._rollout.cancel()
            await asyncio.gather(self._rollout, return_exceptions=True)
        replicas = [replica.stop() for replica in (self._old, self._newest) if replica]
        await asyncio.gather(*replicas, *self._stopping.values())

    def kill(self) -> None:
        for replica in (self._old, self._newest, *self._stopping):
            if replica:
                replica.kill()

    def _started(self) -> Replica | None:
        wanted = wants_process(self.desired)
        return Replica(self.desired, self._cluster, self._name, self._changed) if wanted else None

    def _suspend(self) -> None:
        """Stops all replicas in the background. Each delivers its last events."""
        if self._rollout:
            self._rollout.cancel()
        for replica in (self._old, self._newest):
            if replica:
                self._stopping[replica] = asyncio.create_task(self._stop(replica))
                self._cluster.supervise(self._stopping[replica])
        self._old = self._newest = self._rollout = None

    async def _stop(self, replica: Replica) -> None:
        await replica.stop()
        self._exit_code = replica.exit_code
        del self._stopping[replica]
        self._changed()

    async def _roll_out(self, newest: Replica, previous: asyncio.Task[None] | None, superseded: Replica | None) -> None:
        if previous and superseded:
            previous.cancel()
        if superseded:
            await superseded.stop()
        await newest.became_ready.wait()
        if self._old:
            await self._old.stop()
        self._old = None
        self._changed()
