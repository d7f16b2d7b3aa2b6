"""Sources that are called over HTTP: one event per request, and the caller is answered after the sink.

2xx only once the sink (or the dead letter sink) has the event; else 503 with ``Retry-After``, or 422 where the sink
refused it for good. Served by uvicorn's protocol on this loop; its own server would wake up ten times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from adapter.contract.durations import Interval
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source
from adapter.serving.body import BUSY_S, BodyBudget, BodyReader, ClientDisconnect, Receive, Scope, Send, respond
from adapter.serving.logs import LogThrottle, error_location
from adapter.serving.messages import Refusal, Request

CLIENT_S = 10.0  # for a caller to bring its whole request
RECEIVE_S = 10.0  # for the source to make an event of it
UNDELIVERED_S = 5  # Retry-After


@dataclass(frozen=True, eq=False)
class Call:
    """One request under way: its event goes to a lane, the outcome comes back."""

    event: Event
    outcome: asyncio.Future[Outcome]


class Listener(Source):
    """A source that yields one event per HTTP request."""

    listens: ClassVar[bool] = True
    methods: ClassVar[tuple[str, ...]] = ("POST",)

    path: str = Field(
        "/", pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*$", max_length=256, description="The path that is answered."
    )
    max_in_flight: int = Field(
        32,
        ge=1,
        le=256,
        alias="maxInFlight",
        description="How many requests are under way at most; more are answered 503 at once.",
    )
    answer_within: Interval = Field(
        Interval("8s"),
        alias="answerWithin",
        description="How long the sink is tried before the caller is told to come again.",
    )
    replicas: int = Field(1, ge=1, le=32, description="How many adapters share the requests.")

    _calls: asyncio.Queue[Call] = PrivateAttr(default_factory=asyncio.Queue)
    _under_way: set[Call] = PrivateAttr(default_factory=set)
    _bodies: BodyBudget = PrivateAttr(default_factory=BodyBudget)
    _leave: Callable[[], Awaitable[None]] | None = PrivateAttr(None)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not cls.methods or any(not it.isupper() for it in cls.methods):
            raise TypeError(
                f'{cls.__name__}.methods is {cls.methods}: write HTTP methods as they are sent, like ("POST",)'
            )

    async def receive(self, request: Request) -> Event:
        """The event a request brings; :class:`Refusal` where it brings none. May not keep state between requests."""
        raise TypeError(f"{type(self).__name__} has no receive(); define `async def receive(self, request)`")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        while True:
            call = await self._calls.get()
            outcome = yield call.event
            if not call.outcome.done():
                call.outcome.set_result(outcome)

    @contextlib.asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        from adapter.serving.protocol import serving

        digest = LogThrottle(context.log, context.clock.now)
        async with serving(
            lambda scope, receive, send: self._answer(context, digest, scope, receive, send), context.port
        ) as self._leave:
            context.log.info("listening", extra={"fields": {"port": context.port, "path": self.path}})
            try:
                yield
            finally:
                for call in self._under_way:  # no lane is left that would
                    if not call.outcome.done():
                        call.outcome.set_result(Outcome.GAVE_UP)

    async def on_shutdown(self) -> None:
        """Serve on while there are connections, each of which ends with its next answer."""
        if self._leave:
            await self._leave()

    async def _answer(self, context: Context, digest: LogThrottle, scope: Scope, receive: Receive, send: Send) -> None:
        body = BodyReader(self._bodies)
        try:
            async with asyncio.timeout(CLIENT_S) as limit:
                request = await self._read(scope, receive, body)
                limit.reschedule(asyncio.get_running_loop().time() + RECEIVE_S)
                event = await self.receive(request)
            if not isinstance(event, Event):
                raise TypeError(f"receive() of {type(self).__name__} returned {type(event).__name__}; return an Event")
            status, text, headers = await self._deliver(context, event)
        except Refusal as refusal:
            status, text, headers = refusal.status, str(refusal), refusal.headers
        except ClientDisconnect:
            return
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if _is_cancelled():
                raise
            if limit.expired() and not body.complete:
                status, text = 408, f"the request took longer than {CLIENT_S:.0f} s"
                headers = {"Connection": "close"}
            else:
                what = f"took longer than {RECEIVE_S:.0f} s" if limit.expired() else type(error).__name__
                digest.error(
                    "receive() failed", error=what, at=error_location(error)
                )  # its words may hold the request's
                status, text, headers = 500, "the source failed; its log says how", {}
        finally:
            body.release()
        await respond(send, status, text, headers)

    async def _read(self, scope: Scope, receive: Receive, body: BodyReader) -> Request:
        """The whole request, within its limits."""
        method, path = scope["method"], scope["path"]
        if path != self.path:
            raise Refusal(404, f"there is only {self.path}")
        if method not in self.methods:
            raise Refusal(405, f"only {', '.join(self.methods)}", Allow=", ".join(self.methods))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        octets = await body.read(receive, headers.get("content-length"))
        return Request(method, path, headers, octets, scope["query_string"].decode("latin-1"))

    async def _deliver(self, context: Context, event: Event) -> tuple[int, str, dict[str, str]]:
        if context.stopping():
            return 503, "this adapter stops", {"Retry-After": str(BUSY_S)}
        if len(self._under_way) >= self.max_in_flight:
            return 503, "too many requests are under way", {"Retry-After": str(BUSY_S)}
        event = replace(event, patience_s=self.answer_within.ns / 1e9, returns=True)
        call = Call(event, asyncio.get_running_loop().create_future())
        self._under_way.add(call)
        try:
            self._calls.put_nowait(call)
            outcome = await call.outcome
        finally:
            self._under_way.discard(call)
        if outcome in (Outcome.DELIVERED, Outcome.DEAD_LETTERED):
            return 202, "", {}
        if outcome is Outcome.REJECTED:
            return 422, "the event was refused; the log of the adapter says why", {}
        return 503, "the sink did not take the event", {"Retry-After": str(UNDELIVERED_S)}


def _is_cancelled() -> bool:
    """By whoever ends this adapter, not by what an author's code raises."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
