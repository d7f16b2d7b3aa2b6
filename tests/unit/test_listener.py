"""What becomes of a request whose event nobody takes any more."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from adapter import runtime as runtime_module
from adapter.events import Message
from adapter.metrics import Metrics
from adapter.runtime import Drain, Runtime, context_of
from adapter.sdk import Event, Listener, Outcome, Request
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook
from tests.process.harness import free_port


class BellSource(Listener):
    """Rings."""

    async def receive(self, request: Request) -> Event:
        return Event(type="ring")


def test_a_caller_whose_event_is_not_delivered_by_the_end_of_a_stop_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not left without an answer: nobody else would know what became of it."""
    monkeypatch.setattr(runtime_module, "LEAVE_S", 0.01)
    monkeypatch.setattr(runtime_module, "NOTE_S", 0.01)

    async def test() -> httpx2.Response:
        in_hand = asyncio.Event()

        async def deliver(event: Event, message: Message) -> Outcome:
            in_hand.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")

        metrics, port = Metrics("ns", "n", "K"), free_port()
        context = context_of("/s", "uid", START, VirtualClock(), Logbook().log, metrics, port=port)
        runtime = Runtime(
            BellSource(), context, deliver, metrics, namespace="ns", overrides={}, drain=Drain(patience_s=0.01)
        )
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            run = tasks.create_task(runtime.run())
            while runtime.trouble:  # noqa: ASYNC110 -- readiness is what a kubelet sees
                await asyncio.sleep(0.001)
            async with httpx2.AsyncClient(trust_env=False) as client:
                call = tasks.create_task(client.post(f"http://127.0.0.1:{port}/"))
                await in_hand.wait()
                runtime.stop()
                await run
                return await call

    answer = asyncio.run(test())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
