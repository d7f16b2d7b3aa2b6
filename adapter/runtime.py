"""Runs one source: pulls an event, sets its id and time, delivers it, and sends the outcome back.

On SIGTERM it stops pulling events and waits for the deliveries in flight.

An invalid event does not stop the valid ones: it is logged, counted as lost, and the source gets ``REJECTED``.
An exception in the source's own code ends the adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from adapter.checkpoints.saver import Saver
from adapter.cloudevents.encode import Message
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source, with_id_and_time
from adapter.model.traces import trace_fields, traceparent_of
from adapter.observe.metrics import DEAD_LETTERED, DELIVERED, LOST, RETURNED, SKIPPED, Metrics
from adapter.serving.failures import as_source, cancels_this_task
from adapter.serving.logs import BURST, LogThrottle

Encode = Callable[[Event], Message]  # raises ValueError if the event is invalid
ACCEPTED = {Outcome.DELIVERED: DELIVERED, Outcome.DEAD_LETTERED: DEAD_LETTERED}


class Deliverer(Protocol):
    """The part of :class:`adapter.delivery.delivery.Delivery` that the runtime calls."""

    def unready_reason(self) -> str | None: ...

    def count_invalid(self, reason: str) -> None: ...

    def cut_short(self) -> None: ...

    def flush(self) -> None: ...

    async def deliver(
        self,
        event: Event,
        message: Message,
        *,
        caller_timeout_s: float | None = None,
        sends_again: Callable[[Outcome], bool] = ...,
    ) -> Outcome: ...


@dataclass(frozen=True)
class Drain:
    """Seconds for the events in flight after SIGTERM: ``timeout_s``, then ``last_attempt_s`` for the dead letter sink.

    ``last_attempt_s`` begins with ``Deliverer.cut_short()``. It is 0 without a dead letter sink.
    """

    timeout_s: float
    last_attempt_s: float = 0.0


class Runtime:
    """Runs a source until :meth:`stop`. :meth:`run` raises the exceptions of the source's own code.

    Each worker delivers one event at a time. Events of ``context.send()`` are delivered concurrently with them.
    """

    def __init__(
        self,
        source: Source,
        context: Context,
        encode: Encode,
        delivery: Deliverer,
        metrics: Metrics,
        drain: Drain,
        timeouts: Timeouts = TIMEOUTS,
        saver: Saver | None = None,
    ) -> None:
        self._source = source
        self._encode = encode
        self._delivery = delivery
        self._metrics = metrics
        self._drain_times = drain
        self._timeouts = timeouts
        self._saver = saver or Saver(context.checkpoint, None, context.clock, context.log)
        self._log = context.log
        self._throttle = LogThrottle(context.log, context.clock.now)
        self._source_reason: str | None = None
        self._has_started = False
        self._on_shutdown: list[Callable[[], Awaitable[None]]] = []
        self._stopping = asyncio.Event()  # SIGTERM was received
        self._stopped_pulling = asyncio.Event()  # the on_shutdown callbacks are done
        self._in_flight: set[asyncio.Timeout] = set()  # of deliveries; rescheduled to end them
        self._none_in_flight = asyncio.Event()
        self._context = replace(
            context,
            send=self._send,
            set_unready=self._set_unready,
            count_missed=partial(metrics.count_events, SKIPPED),
            count_poll=metrics.count_polls,
            on_shutdown=self._on_shutdown.append,
        )

    @property
    def unready_reason(self) -> str | None:
        """Why the adapter is not ready, or None if it is. A listener stays ready: its callers get the errors."""
        if self._stopping.is_set():
            return "stopping"
        sink_reason = None if self._source.listens else self._delivery.unready_reason()
        return (
            self._saver.unready_reason
            or sink_reason
            or self._source_reason
            or (None if self._has_started else "starting")
        )

    @property
    def _callback_limit_s(self) -> float:
        return self._timeouts.last_poll_s if self._source.is_poller else self._timeouts.listener_drain_s

    def _set_unready(self, reason: str | None) -> None:
        self._source_reason = reason

    def stop(self) -> None:
        """Pull no more events once the ``on_shutdown`` callbacks are done, and wait for those in flight."""
        self._stopping.set()
        if not self._on_shutdown:
            self._stopped_pulling.set()  # now: one more iteration of the event loop could pull another event

    async def run(self) -> None:
        try:
            if await self._opened():
                async with self._saver, self._source.running(self._context):
                    await self._run()
        finally:
            self._throttle.flush()
            self._delivery.flush()

    async def _opened(self) -> bool:
        """Wait until the checkpoint is loaded. False if the adapter has to stop before that."""
        tasks = [asyncio.create_task(step) for step in (self._saver.open(), self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
            return tasks[0].done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        count = self._source.workers()
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"workers() of {type(self._source).__name__} returned {count!r}; return 1 or more")
        contexts = [replace(self._context, worker=n, workers=count) for n in range(count)]
        workers = {asyncio.create_task(as_source(self._work(context))) for context in contexts}
        stopped = asyncio.create_task(as_source(self._until_stopped()))
        await asyncio.sleep(0)  # lets every worker start, so a source that is not ready calls set_unready()
        self._has_started = True
        done, _ = await asyncio.wait({*workers, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped in done:
            await self._drain(workers)
        for task in {*workers, stopped}:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for task in (*workers, stopped):
            if task.done() and not task.cancelled():
                task.result()

    async def _until_stopped(self) -> None:
        await self._stopping.wait()
        try:
            errors = await asyncio.gather(*(self._shut_down(callback) for callback in self._on_shutdown))
        finally:
            self._stopped_pulling.set()
        for error in filter(None, errors):
            raise error

    async def _shut_down(self, callback: Callable[[], Awaitable[None]]) -> BaseException | None:
        """Run one callback beside the others: one that hangs or fails must not delay or skip them."""
        try:
            async with asyncio.timeout(self._callback_limit_s) as limit:
                await callback()
        except TimeoutError as error:
            return None if limit.expired() else error
        except BaseException as error:
            if cancels_this_task(error):
                raise
            return error
        return None

    async def _drain(self, workers: set[asyncio.Task[None]]) -> None:
        await self._wait_for_deliveries(self._drain_times.timeout_s)
        if self._in_flight:
            self._delivery.cut_short()
            await self._wait_for_deliveries(self._drain_times.last_attempt_s + self._timeouts.outcome_s)
        had_events = bool(self._in_flight) or self._none_in_flight.is_set()
        for delivery in self._in_flight:
            delivery.reschedule(asyncio.get_running_loop().time())
        if had_events:
            await asyncio.wait(workers, timeout=self._timeouts.outcome_s)
        for task in workers:
            task.cancel()
        await asyncio.wait(workers, timeout=self._timeouts.source_close_s)

    async def _wait_for_deliveries(self, timeout_s: float) -> None:
        if self._in_flight:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._none_in_flight.wait(), timeout_s)

    async def _work(self, context: Context) -> None:
        async with contextlib.aclosing(self._source.events(context)) as events:
            try:
                event = await anext(events)
                while True:
                    event = await events.asend(await self._handle(event))
                    if self._stopped_pulling.is_set():
                        return  # asend() returned another event, which is not delivered
            except StopAsyncIteration:
                if not self._stopping.is_set():
                    self._log.info("the source has no more events")
                await self._stopped_pulling.wait()  # if the process ended, Kubernetes would restart it

    async def _send(self, event: Event, *, timeout_s: float) -> Outcome:
        return await self._handle(event, timeout_s)

    async def _handle(self, event: Event, caller_timeout_s: float | None = None) -> Outcome:
        """Deliver one event. ``caller_timeout_s`` is set if a caller waits for the outcome."""
        event = with_id_and_time(event, self._context)
        try:
            async with asyncio.timeout(None) as limit:
                self._in_flight.add(limit)
                outcome = await self._deliver(event, caller_timeout_s)
        except TimeoutError:
            if not limit.expired():
                raise
            outcome = Outcome.GAVE_UP
            self._log_undelivered(event, outcome, caller_waits=caller_timeout_s is not None)
        finally:
            self._in_flight.discard(limit)
            if self._stopped_pulling.is_set() and not self._in_flight:
                self._none_in_flight.set()
        returned = caller_timeout_s is not None or self._sends_again(outcome)
        self._metrics.count_events(ACCEPTED.get(outcome, RETURNED if returned else LOST))
        return outcome

    def _sends_again(self, outcome: Outcome) -> bool:
        return self._source.sends_again(outcome, stopping=self._stopping.is_set())

    def _log_undelivered(self, event: Event, outcome: Outcome, *, caller_waits: bool) -> None:
        if caller_waits:
            message = "event not delivered before shutdown; caller notified"
        elif self._sends_again(outcome):
            message = "event not delivered before shutdown; the source will send it again"
        else:
            message = "event lost: not delivered before shutdown"
        fields: dict[str, Any] = {"event_id": event.id, "event_type": event.type}
        fields |= trace_fields(traceparent_of(event, self._context.source))
        self._throttle.error(message, burst=BURST, **fields)

    async def _deliver(self, event: Event, caller_timeout_s: float | None) -> Outcome:
        try:
            message = self._encode(event)
        except ValueError as error:
            self._throttle.error("invalid event rejected", event_id=event.id, event_type=event.type, reason=str(error))
            self._delivery.count_invalid(str(error))
            return Outcome.REJECTED
        self._throttle.recovered()
        self._metrics.in_flight += 1
        try:
            return await self._delivery.deliver(
                event, message, caller_timeout_s=caller_timeout_s, sends_again=self._sends_again
            )
        finally:
            self._metrics.in_flight -= 1
