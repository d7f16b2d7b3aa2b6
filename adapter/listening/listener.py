"""Sources that receive HTTP requests. Each request is one event, and the response depends on its delivery.

The caller gets 2xx only after the sink or the dead letter sink has accepted the event. It gets 422 if the event was
refused permanently, and 503 with ``Retry-After`` if it was not delivered in time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, ClassVar

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.model.event import Event, Outcome
from adapter.model.fields import secret_texts
from adapter.model.source import Context, Source
from adapter.serving.body import BUSY_RETRY_S, BodyBudget, BodyReader, ClientDisconnect, Receive, Scope, Send, respond
from adapter.serving.failures import failure_fields
from adapter.serving.logs import LogThrottle
from adapter.serving.messages import Refusal, Request

UNDELIVERED_RETRY_S = 5  # Retry-After of a response to an event that was not delivered
Answer = tuple[int, str, dict[str, str]]  # status, text, headers


class Listener(Source):
    """A source that sends one event per HTTP request.

    Responses: 202 after the sink or the dead letter sink has accepted the event, 422 if the event is invalid or was
    refused permanently, 503 with ``Retry-After`` if it was not delivered within ``answer_within``, 404 for another
    path, 405 for another method, 408 for a body that takes longer than 10 s, and 413 for one of more than 1 MiB.
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

    async def receive(self, request: Request) -> Event:
        """Return the event of a request, or raise :class:`Refusal` to send none.

        The caller gets 500 for any other exception, for a result that is not an Event, and after 10 s. Keep no state
        between requests: each replica gets only some of them.
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
    """The ASGI app of a running listener."""

    def __init__(self, listener: Listener, context: Context, timeouts: Timeouts = TIMEOUTS) -> None:
        self._listener = listener
        self._context = context
        self._timeouts = timeouts
        self._throttle = LogThrottle(context.log, context.clock.now)
        self._bodies = BodyBudget()
        self._in_flight = 0
        self._stopped = False

    def flush_log(self) -> None:
        """Write the log lines that are held."""
        self._throttle.flush()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Receive requests on ``context.port``. On shutdown, the last response on each connection closes it."""
        from adapter.serving.protocol import serving

        times, port = self._timeouts, self._context.port
        limits = {"head_s": times.request_head_s, "keep_alive_s": times.keep_alive_s, "responses_s": times.responses_s}
        async with serving(self, port, **limits) as drain:

            async def stop() -> None:
                try:
                    await drain()
                finally:
                    self._stopped = True

            self._context.on_shutdown(stop)
            self._context.log.info("listening", extra={"fields": {"port": port, "path": self._listener.path}})
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = BodyReader(self._bodies)
        try:
            status, text, headers = await self._answer(scope, receive, body)
        except Refusal as refusal:
            status, text, headers = refusal.status, str(refusal), refusal.headers
        except ClientDisconnect:
            return
        finally:
            body.release()
        await respond(send, status, text, headers)

    async def _answer(self, scope: Scope, receive: Receive, body: BodyReader) -> Answer:
        times = self._timeouts
        try:
            async with asyncio.timeout(times.request_body_s) as limit:
                request = await self._read(scope, receive, body)
                limit.reschedule(asyncio.get_running_loop().time() + times.receive_s)
                event = await self._listener.receive(request)
            if not isinstance(event, Event):
                name = type(self._listener).__name__
                raise TypeError(f"receive() of {name} returned {type(event).__name__}; return an Event")
            return await self._deliver(event)
        except (Refusal, ClientDisconnect):
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if _is_cancelled():
                raise
            if limit.expired() and not body.complete:
                text = f"the request took longer than {times.request_body_s:g} s"
                return 408, text, {"Connection": "close"}
            failure = failure_fields(error, type(self._listener).__module__, secret_texts(self._listener))
            if limit.expired():
                failure["error"] = f"took longer than {times.receive_s:g} s"
            self._throttle.error("request failed", **failure)
            return 500, "the source failed; see the log of the adapter", {}

    async def _read(self, scope: Scope, receive: Receive, body: BodyReader) -> Request:
        """The request with its body; :class:`Refusal` if it exceeds a limit."""
        method, path, listener = scope["method"], scope["path"], self._listener
        if path != listener.path:
            raise Refusal(404, f"the path is {listener.path}")
        if method not in listener.methods:
            allowed = ", ".join(listener.methods)
            raise Refusal(405, f"the method must be {allowed}", Allow=allowed)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        content = await body.read(receive, headers.get("content-length"))
        return Request(method, path, headers, content, scope["query_string"].decode("latin-1"))

    async def _deliver(self, event: Event) -> Answer:
        if self._stopped:
            return 503, "the adapter is stopping", {"Retry-After": str(BUSY_RETRY_S)}
        if self._in_flight >= self._listener.max_in_flight:
            return 503, "too many requests in flight", {"Retry-After": str(BUSY_RETRY_S)}
        self._in_flight += 1
        try:
            outcome = await self._context.send(event, timeout_s=self._listener.answer_within.ns / 1e9)
        finally:
            self._in_flight -= 1
        if outcome in (Outcome.DELIVERED, Outcome.DEAD_LETTERED):
            self._throttle.recovered()
            return 202, "", {}
        if outcome is Outcome.REJECTED:
            return 422, "the event was refused; see the log of the adapter", {}
        return 503, "the sink did not accept the event", {"Retry-After": str(UNDELIVERED_RETRY_S)}


def _is_cancelled() -> bool:
    """True if the adapter cancelled this task; False if the author's code raised CancelledError itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
