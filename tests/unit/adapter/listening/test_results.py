"""What ``receive()`` may return, and how the caller is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from adapter.listening.listener import RequestHandler
from adapter.sdk import Context, Event, Listener, Outcome, Refusal, Reply, Request
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook
from tests.process.harness import free_port
from tests.unit.adapter.fake_adapter import FakeAdapter, until, within_deadline
from tests.unit.adapter.listening.asked import REQUEST, answer_of, source_with, whole_response_to

Response = tuple[int, bytes, dict[str, str]]  # status, body, headers


class Asked:
    """Asks a listener. ``sent`` are the ids of the events that it sent, ``limits`` their time limits in seconds."""

    def __init__(self, decide: Callable[[Event], Outcome | Awaitable[Outcome]] = lambda event: Outcome.DELIVERED):
        self.sent: list[str | None] = []
        self.limits: list[float] = []
        self.book = Logbook()
        self._decide = decide

    def answer(self, source: Listener, *, method: str = "POST", path: str = "/") -> Response:
        return asyncio.run(whole_response_to(self.handler(source), replace(REQUEST, method=method, path=path)))

    def handler(self, source: Listener) -> RequestHandler:
        return RequestHandler(source, Context("/s", "uid", START, VirtualClock(), self.book.log, send=self._send))

    async def _send(self, event: Event, *, timeout_s: float) -> Outcome:
        self.sent.append(event.id)
        self.limits.append(timeout_s)
        outcome = self._decide(event)
        return outcome if isinstance(outcome, Outcome) else await outcome


def test_events_of_a_request_are_in_its_trace() -> None:
    """Each has a span of its own, also one that gets its id from the adapter."""
    sent: list[Event] = []

    def decide(event: Event) -> Outcome:
        sent.append(event)
        return Outcome.DELIVERED

    request = replace(REQUEST, headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1"})
    for result in (events(2), Event(type="t")):
        handler = Asked(decide).handler(source_with(lambda request, result=result: result))
        assert asyncio.run(whole_response_to(handler, request))[0] == 202
    assert len({event.extensions["traceparent"] for event in sent}) == len({event.id for event in sent}) == 3
    assert {event.extensions["traceparent"][:36] for event in sent} == {f"00-{'1' * 32}-"}
    assert {event.extensions["tracestate"] for event in sent} == {"a=1"}


def events(count: int) -> list[Event]:
    return [Event(type="t", id=str(n)) for n in range(count)]


def test_reply_answers_the_caller_and_sends_no_event() -> None:
    """Slack's url_verification: https://docs.slack.dev/reference/events/url_verification"""
    asked = Asked()
    source = source_with(lambda request: Reply(200, {"challenge": request.query}))
    assert asked.answer(source) == (200, b'{"challenge": "a=b"}', {"content-type": "application/json"})
    assert asked.sent == []
    assert asked.book.lines == []


@pytest.mark.parametrize(
    ("reply", "body", "headers"),
    [
        pytest.param(Reply(), b"", {}, id="nothing"),
        pytest.param(
            Reply(200, "café"),
            "café".encode(),
            {"content-type": "text/plain; charset=utf-8"},
            id="text",
        ),
        pytest.param(
            Reply(201, b"\xff"),
            b"\xff",
            {"content-type": "application/octet-stream"},
            id="bytes",
        ),
        pytest.param(Reply(302, headers={"Location": "/there"}), b"", {"location": "/there"}, id="header"),
        pytest.param(
            Reply(200, "<a/>", {"content-TYPE": "text/xml"}),
            b"<a/>",
            {"content-type": "text/xml"},
            id="content-type",
        ),
        pytest.param(Reply(204), b"", {}, id="without-content"),
        pytest.param(
            Reply(503, "busy"),
            b"busy",
            {"content-type": "text/plain; charset=utf-8"},
            id="error",
        ),
    ],
)
def test_reply_has_the_body_and_the_content_type_of_its_value(
    reply: Reply, body: bytes, headers: dict[str, str]
) -> None:
    assert Asked().answer(source_with(lambda request: reply)) == (reply.status, body, headers)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(lambda: Reply(100), "Reply(100): status must be from 200 to 599", id="status"),
        pytest.param(lambda: Reply("200"), "Reply('200'): status must be", id="text-status"),
        pytest.param(lambda: Reply(204, "x"), "a response with this status has no body; write body=None", id="204"),
        pytest.param(lambda: Reply(200, object()), "body cannot be written as JSON: Object of type object", id="json"),
        pytest.param(lambda: Reply(200, float("nan")), "body cannot be written as JSON", id="nan"),
        pytest.param(lambda: Reply(200, headers={"X": "a\nb"}), "header X is 'a\\nb'; write one line", id="two-lines"),
        pytest.param(lambda: Reply(200, headers={"a b": "c"}), "'a b' is not the name of a header", id="name"),
        pytest.param(
            lambda: Reply(200, headers={"content-length": "3"}), "content-length is set by the adapter", id="length"
        ),
        pytest.param(
            lambda: Refusal(200, "fine"),
            "from 400 to 599; to answer without an event, return Reply(status, body)",
            id="refusal",
        ),
    ],
)
def test_reply_that_cannot_be_sent_is_an_error(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=r"status|body|header") as caught:
        make()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("result", [None, [], ()], ids=["none", "list", "tuple"])
def test_request_without_an_event_is_accepted_with_204(result: Any) -> None:
    asked = Asked()
    assert asked.answer(source_with(lambda request: result)) == (204, b"", {})
    assert asked.sent == []


def test_response_without_content_keeps_the_connection_open() -> None:
    """A Content-Length or a chunked body after 204 would be read as the next response."""

    async def test() -> None:
        adapter = FakeAdapter(source_with(lambda request: None), port=free_port())
        run = asyncio.create_task(adapter.runtime.run())
        await until(lambda: adapter.runtime.unready_reason is None)
        reader, writer = await asyncio.open_connection("127.0.0.1", adapter.port)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
        writer.close()
        adapter.runtime.stop()
        await run

    within_deadline(test())


@pytest.mark.parametrize("accepted", [Outcome.DELIVERED, Outcome.DEAD_LETTERED])
def test_events_of_a_list_are_sent_in_order_within_one_time_limit(accepted: Outcome) -> None:
    asked = Asked(lambda event: accepted)
    assert asked.answer(source_with(lambda request: events(3)))[0] == 202
    assert asked.sent == ["0", "1", "2"]
    assert asked.limits == sorted(asked.limits, reverse=True)
    assert asked.limits[0] == 8
    assert asked.limits[2] < 8


@pytest.mark.parametrize(
    ("outcomes", "status", "sent"),
    [
        pytest.param([Outcome.DELIVERED, Outcome.GAVE_UP, Outcome.DELIVERED], 503, 2, id="gave-up"),
        pytest.param([Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED], 422, 3, id="rejected"),
        pytest.param([Outcome.REJECTED, Outcome.DELIVERED, Outcome.GAVE_UP], 503, 3, id="both"),
    ],
)
def test_request_is_refused_if_one_of_its_events_is_not_accepted(
    outcomes: Sequence[Outcome], status: int, sent: int
) -> None:
    """The caller sends the request again. A rejected event does not keep the events after it from the sink."""
    asked = Asked(lambda event: outcomes[int(event.id or "")])
    answered, body, headers = asked.answer(source_with(lambda request: events(3)))
    assert (answered, len(asked.sent), headers.get("retry-after")) == (status, sent, "5" if status == 503 else None)
    assert b"event" in body


def test_repeated_request_sends_the_same_ids_again() -> None:
    outcomes = iter([Outcome.DELIVERED, Outcome.GAVE_UP, *[Outcome.DELIVERED] * 3])
    asked = Asked(lambda event: next(outcomes))
    source = source_with(lambda request: events(3))
    assert [asked.answer(source)[0] for _ in range(2)] == [503, 202]
    assert asked.sent == ["0", "1", "0", "1", "2"]


def test_events_after_the_time_limit_are_not_sent() -> None:
    async def slow(event: Event) -> Outcome:
        await asyncio.sleep(0.02)
        return Outcome.DELIVERED

    asked = Asked(slow)
    source = type(source_with(lambda request: events(2))).model_validate({"answerWithin": "10ms"})
    assert asked.answer(source)[0] == 503
    assert asked.sent == ["0"]


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        pytest.param("text", "returned str; return an Event, a list of Events, a Reply or None", id="text"),
        pytest.param([Event("t", id="1"), {}], "returned a list with dict; return an Event", id="dict"),
        pytest.param([Reply()], "returned a list with Reply; return an Event", id="reply"),
        pytest.param([Event("t")], "returned a list with an Event without id; write Event(id=...)", id="id"),
    ],
)
def test_other_result_is_500_and_the_log_says_what_to_return(result: Any, sentence: str) -> None:
    asked = Asked()
    assert asked.answer(source_with(lambda request: result))[0] == 500
    assert sentence in asked.book.lines[0]["error"]
    assert asked.sent == []


def test_request_with_more_than_a_thousand_events_is_413() -> None:
    asked = Asked()
    status, body, _ = asked.answer(source_with(lambda request: events(1001)))
    assert (status, body, asked.sent) == (413, b"the request has 1001 events; the limit is 1000\n", [])
    assert asked.answer(source_with(lambda request: events(1000)))[0] == 202


def test_request_with_several_events_is_one_request_in_flight() -> None:
    async def test() -> list[int]:
        release = asyncio.Event()

        async def wait(event: Event) -> Outcome:
            await release.wait()
            return Outcome.DELIVERED

        asked = Asked(wait)
        source = type(source_with(lambda request: events(3))).model_validate({"maxInFlight": 2})
        handler = asked.handler(source)
        calls = [asyncio.create_task(whole_response_to(handler)) for _ in range(3)]
        await until(lambda: any(call.done() for call in calls))
        release.set()
        return sorted([(await call)[0] for call in calls])

    assert asyncio.run(test()) == [202, 202, 503]


def test_a_get_challenge_is_answered_if_the_class_accepts_get() -> None:
    class ChallengedSource(Listener):
        """Answers challenges as Meta's webhooks require."""

        methods = ("GET", "POST")

        async def receive(self, request: Request) -> Event | Reply:
            return Reply(200, request.query) if request.method == "GET" else Event("t")

    asked = Asked()
    assert asked.answer(ChallengedSource(), method="GET")[:2] == (200, b"a=b")
    assert asked.answer(ChallengedSource())[0] == 202
    status, _, headers = asked.answer(ChallengedSource(), method="PUT")
    assert (status, headers["allow"]) == (405, "GET, POST")


def test_request_has_the_time_of_the_clock() -> None:
    body = answer_of(lambda request: Reply(200, request.received.isoformat()))[1]
    assert body.decode() == START.isoformat()
