"""Sources that receive HTTP requests. The response to a request depends on the delivery of its events.

The caller gets 202 only after the sink or the dead letter sink has accepted all events. It gets 503 with
``Retry-After`` if one was not delivered in time, and 422 if one was refused permanently.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import unquote

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.model.event import Event, Outcome
from adapter.model.fields import secret_texts
from adapter.model.source import Context, Source, with_id_and_time
from adapter.model.traces import TRACEPARENT, continued
from adapter.serving.failures import cancels_this_task, failure_fields
from adapter.serving.limits import Limits
from adapter.serving.logs import LogThrottle
from adapter.serving.messages import Refusal, Reply, Request, Response, response_of
from adapter.serving.server import listen
from adapter.serving.wire import BUSY_RETRY_S

UNDELIVERED_RETRY_S = 5  # Retry-After of a response to an event that was not delivered
EVENTS_LIMIT = 1000  # events of one request


class Listener(Source):
    """A source that sends the events of HTTP requests.

    Responses: 202 after the sink or the dead letter sink has accepted all events of the request, 503 with
    ``Retry-After`` if one was not delivered within ``answer_within``, 422 if one is invalid or was refused permanently,
    204 if there is no event, 404 for another path, 405 for another method, 408 for a body that takes longer than 10 s,
    and 413 for one of more than 1 MiB.
    """

    listens: ClassVar[bool] = True  # the hook creates a Service for Context.port
    methods: ClassVar[tuple[str, ...]] = ("POST",)  # allowed HTTP methods, in capitals

    path: str = Field(
        "/",
        pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*$",
        max_length=256,
        description="URL path to receive requests at.",
    )
    max_in_flight: int = Field(
        32,
        ge=1,
        le=256,
        alias="maxInFlight",
        description="Maximum number of requests in flight per replica. Further requests get 503 with Retry-After.",
    )
    answer_within: Interval = Field(
        Interval("8s"),
        alias="answerWithin",
        description="How long to retry the sink before answering 503 with Retry-After.",
    )
    replicas: int = Field(1, ge=1, le=32, description="Number of adapter pods that share the requests.")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not cls.methods or any(not method.isupper() for method in cls.methods):
            raise TypeError(f'{cls.__name__}.methods is {cls.methods}: write HTTP methods in capitals, like ("POST",)')

    @property
    def allowed_methods(self) -> tuple[str, ...]:
        """The HTTP methods that this source accepts. Override it if they depend on a field."""
        return self.methods

    async def receive(self, request: Request) -> Event | Sequence[Event] | Reply | None:
        """Return what to send for a request: an Event, a list of Events, or None. Return a :class:`Reply` to answer the
        caller yourself, without an event. Raise :class:`Refusal` to refuse the request.

        None and an empty list are answered with 204. The events of a list are sent in order, within ``answer_within``
        in total. If one of them fails, the caller gets 503 or 422 and sends the whole request again. So each needs an
        id that is the same in a repeated request. A request with more than 1000 events gets 413.

        The caller gets 500 for any other exception or result, and after 10 s. Keep no state between requests: each
        replica gets only some of them.
        """
        raise TypeError(f"{type(self).__name__} has no receive(); define `async def receive(self, request)`")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yields nothing. Each request sends its own event with ``context.send()``."""
        await asyncio.Event().wait()
        yield Event("")

    @contextlib.asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        """Receives requests on ``context.port``."""
        handler = RequestHandler(self, context)
        try:
            async with handler.serving():
                yield
        finally:
            handler.flush_log()


class RequestHandler:
    """Responds to the requests of a running listener."""

    def __init__(self, listener: Listener, context: Context, timeouts: Timeouts = TIMEOUTS) -> None:
        self._listener = listener
        self._context = context
        self._timeouts = timeouts
        self._throttle = LogThrottle(context.log, context.clock.now)
        self._in_flight = 0
        self._stopped = False

    def flush_log(self) -> None:
        """Write the log lines that are held."""
        self._throttle.flush()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Receive requests on ``context.port``. On shutdown, the last response on each connection closes it.

        So does the first response after the maximum age of a connection: the caller then connects to any ready pod.
        """
        times, port = self._timeouts, self._context.port
        limits = Limits(
            head_s=times.request_head_s,
            body_s=times.request_body_s,
            keep_alive_s=times.keep_alive_s,
            new_age_s=lambda: times.age_limit_s(random.random()),
        )
        server = await listen(self, port, limits)

        async def stop() -> None:
            try:
                await server.drain()
            finally:
                self._stopped = True

        self._context.on_shutdown(stop)
        self._context.log.info("listening", extra={"fields": {"port": port, "path": self._listener.path}})
        try:
            yield
        finally:
            await server.close(times.responses_s)

    async def __call__(self, request: Request) -> Response:
        try:
            check_served(self._listener, request.method, unquote(request.path))
            return await self._answer(replace(request, received=self._context.clock.now()))
        except Refusal as refusal:
            return refusal.response()

    async def _answer(self, request: Request) -> Response:
        receive_s = self._timeouts.receive_s
        try:
            async with asyncio.timeout(receive_s) as limit:
                made: Any = self._listener.receive(request)
                result = await made if inspect.isawaitable(made) else made
            events = [] if isinstance(result, Reply) else events_of(self._listener, result)
            self._throttle.recovered()
            if isinstance(result, Reply):
                return response_of(result)
            return await self._deliver(self._traced(events, request)) if events else Response(204, headers={})
        except Refusal:
            raise
        except BaseException as error:  # also one that would end this task without an error, like CancelledError
            if cancels_this_task(error):
                raise
            kind, secrets = type(self._listener), secret_texts(self._listener)
            failure = failure_fields(error, kind.__module__, secrets, kind)
            if limit.expired():
                failure["error"] = f"took longer than {receive_s:g} s"
            self._throttle.error("request failed", **failure)
            return _text(500, "the source failed; see the log of the adapter")

    def _traced(self, events: Sequence[Event], request: Request) -> Sequence[Event]:
        """The events in the trace of the request, if it has one. Their ids are set, because spans depend on them."""
        if TRACEPARENT not in request.headers:
            return events
        complete = [with_id_and_time(event, self._context) for event in events]
        return [continued(event, self._context.source, request.headers) for event in complete]

    async def _deliver(self, events: Sequence[Event]) -> Response:
        if self._stopped:
            return _text(503, "the adapter is stopping", {"Retry-After": str(BUSY_RETRY_S)})
        if self._in_flight >= self._listener.max_in_flight:
            return _text(503, "too many requests in flight", {"Retry-After": str(BUSY_RETRY_S)})
        self._in_flight += 1
        try:
            outcomes = await self._outcomes(events)
        finally:
            self._in_flight -= 1
        what = "the event" if len(events) == 1 else "all events of the request"
        if Outcome.GAVE_UP in outcomes:
            return _text(503, f"the sink did not accept {what}", {"Retry-After": str(UNDELIVERED_RETRY_S)})
        if Outcome.REJECTED in outcomes:
            what = "the event" if len(events) == 1 else "an event of the request"
            return _text(422, f"{what} was refused; see the log of the adapter")
        return _text(202, "")

    async def _outcomes(self, events: Sequence[Event]) -> set[Outcome]:
        """The outcomes of the events, which are sent in order.

        An event that was not delivered in time ends the delivery: the caller sends the request again. An event that was
        refused does not: the caller may give up, and the events after it would be lost.
        """
        now, outcomes = asyncio.get_running_loop().time, set[Outcome]()
        left_s = self._listener.answer_within.total_seconds()
        for event in events:
            began = now()
            outcome = await self._context.send(event, timeout_s=left_s)
            outcomes.add(outcome)
            left_s -= now() - began
            if outcome is Outcome.GAVE_UP:
                break
            if (left_s <= 0 or self._stopped) and event is not events[-1]:
                outcomes.add(Outcome.GAVE_UP)
                break
        return outcomes


def check_served(listener: Listener, method: str, path: str) -> None:
    """:class:`Refusal` with 404 or 405 if the listener does not serve this path or this method."""
    if path != listener.path:
        raise Refusal(404, f"this source listens on the path {listener.path}")
    if method not in listener.allowed_methods:
        allowed = ", ".join(listener.allowed_methods)
        raise Refusal(405, f"the method must be {allowed}", Allow=allowed)


def events_of(listener: Listener, result: object) -> Sequence[Event]:
    """The events that ``receive()`` returned; ``TypeError`` if it returned something else.

    :class:`Refusal` with 413 if there are more than ``EVENTS_LIMIT``.
    """
    if result is None or isinstance(result, Event):
        return [] if result is None else [result]
    name = type(listener).__name__
    made: Sequence[object] = result if isinstance(result, list | tuple) else [result]
    events = [each for each in made if isinstance(each, Event)]
    wrong = next((type(each).__name__ for each in made if not isinstance(each, Event)), None)
    if wrong:
        found = wrong if made[0] is result else f"a list with {wrong}"
        raise TypeError(f"receive() of {name} returned {found}; return an Event, a list of Events, a Reply or None")
    if not all(event.id for event in events):
        raise TypeError(
            f"receive() of {name} returned a list with an Event without id; write Event(id=...) with a key that is the "
            "same when the request is repeated"
        )
    if len(events) > EVENTS_LIMIT:
        raise Refusal(413, f"the request has {len(events)} events; the limit is {EVENTS_LIMIT}")
    return events


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """A response with ``text`` and a line feed as its body; no body if ``text`` is empty."""
    body = f"{text}\n".encode("utf-8", "replace") if text else b""
    return Response(status, body, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})})
