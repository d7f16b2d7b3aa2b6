"""Runs one source: pulls an event, sets its id and time, delivers it, and sends the outcome back.

On SIGTERM it stops pulling events and waits for the deliveries in flight.
An exception in the source's own code ends the adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from adapter.checkpoints.saver import Saver
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source, with_id_and_time
from adapter.observe.metrics import SKIPPED, Metrics
from adapter.runtime.deliveries import Deliverer, Deliveries, Drain, Encode
from adapter.serving.failures import as_source, cancels_this_task
from adapter.serving.logs import LogThrottle


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
        self._timeouts = timeouts
        self._saver = saver or Saver(context.checkpoint, None, context.clock, context.log)
        self._log = context.log
        self._throttle = LogThrottle(context.log, context.clock.now)
        self._source_reason: str | None = None
        self._has_started = False
        self._on_shutdown: list[Callable[[], Awaitable[None]]] = []
        self._stopping = asyncio.Event()  # SIGTERM was received
        self._stopped_pulling = asyncio.Event()  # the on_shutdown callbacks are done
        self._deliveries = Deliveries(delivery, metrics, self._throttle, drain, self._stopped_pulling, timeouts)
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
        if (left_s := await self._deliveries.drain()) > 0:
            await asyncio.wait(workers, timeout=left_s)
        for task in workers:
            task.cancel()
        await asyncio.wait(workers, timeout=self._timeouts.source_close_s)

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
        return await self._deliveries.handle(
            event, self._context.source, self._encode, self._sends_again, caller_timeout_s
        )

    def _sends_again(self, outcome: Outcome) -> bool:
        return self._source.sends_again(outcome, stopping=self._stopping.is_set())
