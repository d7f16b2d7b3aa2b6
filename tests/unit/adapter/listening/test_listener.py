"""What a caller is answered when the source, or its end, gets in the way."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from adapter import runtime as runtime_module
from adapter.cloudevents.encode import Message
from adapter.listening import listener
from adapter.observe.metrics import Metrics
from adapter.runtime import Drain, Runtime, context_of
from adapter.sdk import Event, Listener, Outcome, Refusal, Request
from adapter.serving.logs import LogThrottle
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


Sent = list[dict[str, Any]]


def answer_of(receive: Callable[[Request], Any], book: Logbook | None = None, body: bytes = b"") -> tuple[int, bytes]:
    """Of a source that makes of the request what ``receive`` makes of it, and sends nothing."""

    class OwnSource(Listener):
        """A source of the test's own."""

        async def receive(self, request: Request) -> Event:
            made = receive(request)
            return await made if inspect.isawaitable(made) else made  # type: ignore[no-any-return]  # or whatever else

    book = book or Logbook()
    sent: Sent = []

    async def given() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def test() -> None:
        clock = VirtualClock()
        context = context_of("/s", "uid", START, clock, book.log, Metrics("ns", "n", "K"))
        scope = {"method": "POST", "path": "/", "headers": [], "query_string": b"a=b"}
        async with asyncio.timeout(10):
            await OwnSource()._answer(context, LogThrottle(book.log, clock.now), scope, given, send)

    asyncio.run(test())
    return sent[0]["status"], sent[1]["body"]


def fails(error: BaseException) -> Callable[[Request], Any]:
    def receive(request: Request) -> Any:
        raise error

    return receive


@pytest.mark.parametrize(
    ("receive", "said"),
    [
        pytest.param(lambda request: int(request.body), "ValueError", id="exception"),
        pytest.param(fails(SystemExit(3)), "SystemExit", id="exit"),
        pytest.param(fails(asyncio.CancelledError()), "CancelledError", id="cancelled"),
        pytest.param(lambda request: {"type": "x"}, "TypeError", id="no-event"),
        pytest.param(lambda request: fails(Refusal(200, "fine"))(request), "ValueError", id="2xx-refusal"),
        pytest.param(lambda request: fails(Refusal("401", "no"))(request), "ValueError", id="text-status"),  # type: ignore[arg-type]  # on purpose
        pytest.param(lambda request: fails(Refusal(401, "no", X="a\nb"))(request), "ValueError", id="two-line-header"),
    ],
)
def test_a_source_that_fails_is_500_and_its_log_names_the_place_and_nothing_of_the_request(
    receive: Callable[[Request], Any], said: str
) -> None:
    book = Logbook()
    assert answer_of(receive, book, b"hush") == (500, b"the source failed; its log says how\n")
    (line,) = book.lines
    assert line["error"] == said
    assert re.search(r"\w+\.py:\d+$", line["at"])
    assert "hush" not in str(line)


def test_a_source_that_takes_too_long_is_500_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "RECEIVE_S", 0.01)
    book = Logbook()
    assert answer_of(lambda request: asyncio.Event().wait(), book)[0] == 500
    assert book.lines[0]["error"] == "took longer than 0 s"


def test_a_source_sees_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer_of(lambda request: fails(Refusal(400, request.query))(request)) == (400, b"a=b\n")


def test_an_end_from_outside_is_no_failure_of_the_source() -> None:
    async def test() -> None:
        waiting = asyncio.Event()

        class SlowSource(Listener):
            """Waits."""

            async def receive(self, request: Request) -> Event:
                waiting.set()
                await asyncio.Event().wait()
                raise AssertionError("nobody sets it")

        async def given() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            raise AssertionError(f"it was answered {message}")

        book, clock = Logbook(), VirtualClock()
        context = context_of("/s", "uid", START, clock, book.log, Metrics("ns", "n", "K"))
        scope = {"method": "POST", "path": "/", "headers": [], "query_string": b""}
        call = asyncio.create_task(SlowSource()._answer(context, LogThrottle(book.log, clock.now), scope, given, send))
        await waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert book.lines == []

    asyncio.run(test())
