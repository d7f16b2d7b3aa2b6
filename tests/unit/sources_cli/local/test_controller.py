"""How ``sources run`` processes the responses of the hook, tested without a hook and without processes."""

from __future__ import annotations

import asyncio
from typing import Any

from sources_cli.admission.documents import Documents
from sources_cli.local.checkpoints import Checkpoints
from sources_cli.local.controller import SETTLE_SYNCS, SourceController
from sources_cli.local.hook import Hook, HookRejected
from sources_cli.local.replica import ClusterEnv
from sources_cli.local.service import ServicePorts
from tests.deadline import DEADLINE_S

DOCUMENTS = Documents([], "adapter.sources")
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


class ScriptedHook(Hook):
    """Answers each sync with the next of ``responses``, and the last one again."""

    def __init__(self, *responses: dict[str, Any] | HookRejected) -> None:
        self._responses = list(responses)
        self.syncs = 0
        self.called = asyncio.Event()

    async def customize(self, parent: Any, documents: Documents) -> dict[str, dict[str, Any]]:
        return {}

    async def sync(self, *request: Any, **options: Any) -> Any:
        self.syncs += 1
        self.called.set()
        response = self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
        if isinstance(response, HookRejected):
            raise response
        return response


class Running:
    """A controller whose hook is ``hook``; ``messages`` are those to the user."""

    def __init__(self, hook: ScriptedHook) -> None:
        metadata = {"name": "a", "namespace": "default", "generation": 1}
        source = {
            "apiVersion": "samples.knative.dev/v1alpha1",
            "kind": "SampleSource",
            "metadata": metadata,
            "spec": {},
        }
        self.messages: list[str] = []
        self.hook = hook
        ignored = self.messages.append
        ports = ServicePorts(None, self.messages.append)
        cluster = ClusterEnv(
            dict, dict, ignored, ignored, self.messages.append, ignored, ports, Checkpoints(), "adapter.sources"
        )
        self.controller = SourceController(source, hook, cluster, lambda controller: None)

    async def __aenter__(self) -> Running:
        self._task = asyncio.create_task(self.controller.reconcile(lambda: DOCUMENTS))
        await self.next_sync()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def next_sync(self) -> None:
        """Returns when the controller has handled all syncs: with this hook, it does so without waiting."""
        self.hook.called.clear()
        self.controller.wake()
        await asyncio.wait_for(self.hook.called.wait(), DEADLINE_S)


def test_rejection_by_the_hook_is_reported_once_and_keeps_the_status() -> None:
    async def check() -> None:
        rejected = HookRejected("the hook answered 422: spec.interval is wrong")
        async with Running(ScriptedHook({"status": READY}, {"status": READY}, rejected)) as running:
            for _ in range(3):
                await running.next_sync()
            assert running.messages == ["a: SyncError: the hook answered 422: spec.interval is wrong"]
            assert running.controller.ready

    asyncio.run(check())


def test_controller_syncs_until_the_status_stays_the_same() -> None:
    async def check() -> None:
        hook = ScriptedHook({"status": {"sinkUri": "http://a"}}, {"status": READY})
        async with Running(hook) as running:
            assert hook.syncs == 3
            assert running.controller.source["status"] == {**READY, "observedGeneration": 1}

    asyncio.run(check())


def test_controller_waits_if_the_status_does_not_settle() -> None:
    async def check() -> None:
        hook = ScriptedHook(*({"status": {"sinkUri": f"http://h/{n}"}} for n in range(100)))
        async with Running(hook):
            assert hook.syncs == SETTLE_SYNCS

    asyncio.run(check())


def test_edited_spec_increments_the_generation_and_the_same_spec_does_not() -> None:
    running = asyncio.run(created())
    for spec, generation in (({}, 1), ({"interval": "1s"}, 2), ({"interval": "1s"}, 2)):
        running.controller.edit(spec, None)
        assert running.controller.source["metadata"]["generation"] == generation
    running.controller.edit({"interval": "1s"}, {"a": "b"})
    assert running.controller.source["metadata"] == {
        "name": "a", "namespace": "default", "generation": 2, "annotations": {"a": "b"},
    }  # fmt: skip


async def created() -> Running:
    return Running(ScriptedHook({"status": {}}))


def test_settings_without_effect_are_named_once() -> None:
    adapter = {"resources": {"limits": {"cpu": "1"}}, "env": [{"name": "A", "value": "1"}], "labels": {}}
    text = "there is no pod: of spec.adapter, only env and terminationGracePeriodSeconds are used, not {}resources"

    async def check() -> None:
        running = Running(ScriptedHook({"status": READY}))
        running.controller.source["spec"] = {"adapter": adapter}
        async with running:
            await running.next_sync()
            assert running.messages == [f"a: {text.format('')}"]
            running.controller.edit({"adapter": {**adapter, "nodeSelector": {"a": "b"}}}, None)
            await running.next_sync()
            assert running.messages[1:] == [f"a: {text.format('nodeSelector, ')}"]

    asyncio.run(check())
