"""A Deployment as local processes: one replica, or two while a new template rolls out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from adapter.contract.formats import Json, format_time
from sources_cli.local.objects import deployment_status
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
        self._newest = Replica(desired, cluster, name, changed)
        self._old: Replica | None = None
        self._rollout: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._newest.port

    @property
    def ready_port(self) -> int | None:
        """The port of the newest replica that is ready."""
        replicas = (replica for replica in (self._newest, self._old) if replica)
        return next((replica.port for replica in replicas if replica.state.ready), None)

    @property
    def exit_code(self) -> int | None:
        return self._newest.exit_code

    @property
    def observed(self) -> Json:
        """The object as the API server would store it now."""
        metadata = {**self.desired["metadata"], "generation": self._generation, "creationTimestamp": self._created}
        old = self._old.state if self._old else None
        status = deployment_status(
            generation=self._generation,
            newest=self._newest.state,
            old=old,
            wanted=self.desired["spec"].get("replicas", 1),
        )
        return {**self.desired, "metadata": metadata, "status": status}

    def apply(self, desired: Json) -> bool:
        """Returns whether ``desired`` is a change. Rolls out a new template, in the background.

        The old process stops when the new one is ready.
        """
        if desired == self.desired:
            return False
        has_new_template = desired["spec"]["template"] != self.desired["spec"]["template"]
        self.desired = desired
        self._generation += 1
        if has_new_template:
            superseded = self._newest if self._old else None  # it never became ready: the old one is still running
            self._old = self._old or self._newest
            self._newest = Replica(desired, self._cluster, self._name, self._changed)
            self._rollout = asyncio.create_task(self._roll_out(self._rollout, superseded))
            self._cluster.supervise(self._rollout)
        return True

    async def wait_until_ready(self, timeout_s: float) -> bool:
        """Returns whether the newest replica became ready within ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._newest.became_ready.wait(), timeout_s)
        return self._newest.became_ready.is_set()

    async def stop(self) -> None:
        if self._rollout:
            self._rollout.cancel()
            await asyncio.gather(self._rollout, return_exceptions=True)
        await asyncio.gather(*(replica.stop() for replica in (self._old, self._newest) if replica))

    def kill(self) -> None:
        for replica in (self._old, self._newest):
            if replica:
                replica.kill()

    async def _roll_out(self, previous: asyncio.Task[None] | None, superseded: Replica | None) -> None:
        if previous and superseded:
            previous.cancel()
        if superseded:
            await superseded.stop()
        await self._newest.became_ready.wait()
        if self._old:
            await self._old.stop()
        self._old = None
        self._changed()
