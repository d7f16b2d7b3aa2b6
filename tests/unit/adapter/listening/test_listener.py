"""The responses of a listener when the source fails, the event is not delivered, or the adapter stops."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from pydantic import BaseModel

from adapter.contract.timeouts import TIMEOUTS
from adapter.listening.listener import RequestHandler
from adapter.runtime.deliveries import Drain
from adapter.sdk import Context, Event, Listener, Outcome, Refusal, Request, SecretText
from adapter.testing.clock import START, VirtualClock
from tests.deadline import DEADLINE_S
from tests.logbook import Logbook
from tests.process.harness import free_port
from tests.unit.adapter.fake_adapter import FakeAdapter, until, wait_for_ever, within_deadline
from tests.unit.adapter.listening.asked import (
    REQUEST,
    BellSource,
    answer_of,
    fails,
    handler_of,
    response_to,
    source_with,
)


async def response_at_shutdown(
    deliver: Callable[[FakeAdapter], Awaitable[Outcome]], source: Listener | None = None
) -> tuple[FakeAdapter, httpx2.Response]:
    """The response to a request whose delivery has begun when the adapter stops."""
    delivering = asyncio.Event()

    async def decide(event: Event) -> Outcome:
        delivering.set()
        return await deliver(adapter)

    timeouts = dataclasses.replace(TIMEOUTS, listener_drain_s=0.01, outcome_s=0.05)
    adapter = FakeAdapter(source or BellSource(), decide, drain=Drain(0.05), timeouts=timeouts, port=free_port())
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(adapter.runtime.run())
        await until(lambda: adapter.runtime.unready_reason is None)
        async with httpx2.AsyncClient(trust_env=False) as client:
            call = tasks.create_task(client.post(f"http://127.0.0.1:{adapter.port}/"))
            await delivering.wait()
            adapter.runtime.stop()
            await run
            return adapter, await call


def test_caller_gets_503_when_its_event_is_not_delivered_before_shutdown() -> None:
    """Only the response shows the caller that the event was not delivered."""

    async def deliver(adapter: FakeAdapter) -> Outcome:
        await wait_for_ever()
        raise AssertionError("never reached")

    adapter, response = asyncio.run(response_at_shutdown(deliver))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert (adapter.count("returned"), adapter.count("lost")) == (1, 0)
    assert adapter.caller_timeouts == [8]


def test_caller_gets_202_when_the_last_attempt_after_the_drain_succeeds() -> None:
    async def deliver(adapter: FakeAdapter) -> Outcome:
        await adapter.was_cut_short.wait()
        return Outcome.DEAD_LETTERED

    adapter, response = asyncio.run(response_at_shutdown(deliver))
    assert response.status_code == 202
    assert adapter.count("dead_lettered") == 1


def test_caller_gets_503_when_the_adapter_stops_before_the_last_event_of_the_request() -> None:
    async def deliver(adapter: FakeAdapter) -> Outcome:
        await adapter.was_cut_short.wait()
        return Outcome.DELIVERED

    source = source_with(lambda request: [Event("t", id="1"), Event("t", id="2")])
    adapter, response = asyncio.run(response_at_shutdown(deliver, source))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert [event.id for event, _ in adapter.delivered] == ["1"]


@pytest.mark.parametrize(
    ("receive", "logged"),
    [
        pytest.param(lambda request: int(request.body), "ValueError: invalid literal", id="exception"),
        pytest.param(fails(SystemExit(3)), "SystemExit: 3", id="exit"),
        pytest.param(fails(KeyboardInterrupt()), "KeyboardInterrupt", id="interrupt"),
        pytest.param(fails(asyncio.CancelledError()), "CancelledError", id="cancelled"),
        pytest.param(fails(GeneratorExit()), "GeneratorExit", id="generator-exit"),
        pytest.param(
            lambda request: {"type": "x"}, "TypeError: receive() of OwnSource returned dict; return", id="not-an-event"
        ),
        pytest.param(
            lambda request: fails(Refusal(200, "fine"))(request), "ValueError: Refusal(200): status", id="2xx-refusal"
        ),
        pytest.param(
            lambda request: fails(Refusal("401", "no"))(request), "ValueError: Refusal('401'): status", id="text-status"
        ),  # type: ignore[arg-type]  # on purpose
        pytest.param(
            lambda request: fails(Refusal(401, "no", X="a\nb"))(request),
            "ValueError: Refusal: header X is",
            id="two-line-header",
        ),
        pytest.param(
            lambda request: fails(Refusal(401, "no", Content_Length="9"))(request),
            "ValueError: Refusal: header Content-Length is set",
            id="length",
        ),
    ],
)
def test_failing_source_is_500_and_the_log_has_the_error_and_its_location(
    receive: Callable[[Request], Any], logged: str
) -> None:
    book = Logbook()
    assert answer_of(receive, book, b"hush") == (500, b"the source failed; see the log of the adapter\n")
    (line,) = book.lines
    assert line["msg"] == "request failed"
    assert line["error"].startswith(logged)
    assert re.search(r"\w+\.py:\d+$", line["at"])


def test_log_names_the_method_that_returned_a_wrong_value() -> None:
    """The error is raised in the library, after the method has returned."""

    class DictSource(Listener):
        """Forgets the event."""

        async def receive(self, request: Request) -> Any:
            return {"type": "x"}

    book = Logbook()
    assert asyncio.run(response_to(handler_of(DictSource(), book)))[0] == 500
    assert book.lines[0]["at"] == f"test_listener.py:{DictSource.receive.__code__.co_firstlineno}"


def test_log_names_the_authors_line_below_library_code_and_has_the_traceback() -> None:
    """A 2xx Refusal raises in the library; json.loads() raises in the standard library."""
    for receive in (lambda request: Refusal(200, "fine"), lambda request: json.loads("{")):
        book = Logbook()
        assert answer_of(receive, book)[0] == 500
        (line,) = book.lines
        assert line["at"] == f"test_listener.py:{receive.__code__.co_firstlineno}"
        assert "in receive\n" in line["traceback"]


def test_timeout_names_the_authors_line_that_waits() -> None:
    async def receive(request: Request) -> Any:
        await asyncio.Event().wait()

    book = Logbook()
    answer_of(receive, book, timeouts=dataclasses.replace(TIMEOUTS, receive_s=0.01))
    assert book.lines[0]["at"] == f"test_listener.py:{receive.__code__.co_firstlineno + 1}"


class UnreadableError(Exception):
    """Its text fails."""

    def __str__(self) -> str:
        raise RuntimeError


def test_exception_whose_text_fails_is_500() -> None:
    book = Logbook()
    assert answer_of(fails(UnreadableError()), book)[0] == 500
    assert book.lines[0]["error"] == "UnreadableError: its text cannot be read"


class Account(BaseModel):
    """Nested fields of a kind."""

    token: SecretText


class LeakingSource(Listener):
    """Its exception contains its secrets."""

    key: SecretText
    accounts: dict[str, list[Account]]

    async def receive(self, request: Request) -> Event:
        key, token = self.key.get_secret_value(), self.accounts["a"][0].token.get_secret_value()
        raise ValueError(f"{key} {key!r} {json.dumps(key)} {quote(key)} {key[:12]}... {token}, item {request.query}")


def test_log_of_a_failure_contains_no_secret() -> None:
    key = 'first line "quoted"\nsecond lïne/+=%'
    source = LeakingSource.model_validate({"key": key, "accounts": {"a": [{"token": "pin7"}]}})
    book = Logbook()
    assert asyncio.run(response_to(handler_of(source, book)))[0] == 500
    (line,) = book.lines
    assert line["error"].startswith("ValueError: (secret)")
    assert line["error"].endswith("... (secret), item a=b")
    for part in ("first", "second", "quoted", "pin7", "%0A"):
        assert part not in book.text


def test_last_failure_of_a_minute_is_logged_after_it() -> None:
    class MoodySource(Listener):
        """Raises the next of ``errors``."""

        async def receive(self, request: Request) -> Event:
            if errors:
                raise errors.pop(0)
            return Event(type="ring")

    async def send_event(event: Event, *, timeout_s: float) -> Outcome:
        return Outcome.DELIVERED

    async def test() -> None:
        for _ in range(2):
            await handler(REQUEST)
        clock.advance(61)
        await handler(REQUEST)

    errors, book, clock = [ValueError(), LookupError()], Logbook(), VirtualClock()
    handler = RequestHandler(MoodySource(), Context("/s", "uid", START, clock, book.log, send=send_event))
    asyncio.run(test())
    assert [line["error"] for line in book.logged("request failed")] == ["ValueError", "LookupError"]


def test_held_failures_of_requests_are_logged_when_the_listener_stops() -> None:
    class BrokenSource(Listener):
        async def receive(self, request: Request) -> Event:
            raise LookupError("mine")

    async def test() -> None:
        run = asyncio.create_task(adapter.runtime.run())
        await until(lambda: adapter.book.logged("listening"))
        async with httpx2.AsyncClient(trust_env=False) as client:
            for _ in range(3):
                await client.post(f"http://127.0.0.1:{adapter.port}/")
        adapter.runtime.stop()
        await run

    adapter = FakeAdapter(BrokenSource(), port=free_port())
    within_deadline(test())
    assert [line["count"] for line in adapter.book.logged("request failed")] == [1, 2]


def test_receive_that_takes_too_long_is_500() -> None:
    book = Logbook()
    timeouts = dataclasses.replace(TIMEOUTS, receive_s=0.01)
    assert answer_of(lambda request: asyncio.Event().wait(), book, timeouts=timeouts)[0] == 500
    assert book.lines[0]["error"] == "took longer than 0.01 s"


def test_receive_gets_the_query_string() -> None:
    assert answer_of(lambda request: fails(Refusal(400, request.query))(request)) == (400, b"a=b\n")


def test_cancelled_request_is_not_a_failure_of_the_source() -> None:
    async def test() -> None:
        waiting = asyncio.Event()

        class SlowSource(Listener):
            """Waits."""

            async def receive(self, request: Request) -> Event:
                waiting.set()
                await wait_for_ever()
                raise AssertionError("never reached")

        book = Logbook()
        call = asyncio.create_task(handler_of(SlowSource(), book)(REQUEST))
        await waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert book.lines == []

    asyncio.run(test())
