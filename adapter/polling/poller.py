"""Sources that poll: once at the start, then at fixed times. Each new item becomes one event, in order.

The next event is sent only after the delivery of the last one has ended. A ``poll()`` that is a generator goes on only
once its event is delivered, dead-lettered or refused, and gets that outcome; otherwise it is closed. A failed poll is
logged and counted, and three in a row make the source unready; the adapter keeps running. The checkpoint is saved after
each final outcome and at the end of a poll.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from adapter.contract.durations import Interval
from adapter.model.event import Event, Outcome
from adapter.model.fields import secret_texts
from adapter.model.schedule import Schedule
from adapter.model.source import Context, Source
from adapter.polling.progress import OK, LastPoll, PollMonitor

if TYPE_CHECKING:  # httpx2 would double the time to import adapter.sdk, and most kinds do not poll
    import ssl

    import httpx2

    from adapter.polling.client import Upstream
    from adapter.polling.incremental import Incremental
    from adapter.polling.position import Position

MAX_JITTER_S = 60.0  # the jitter is at most a tenth of the wait
_MICROSECOND = timedelta(microseconds=1)


def _new_position() -> Position:
    from adapter.polling.position import Position

    return Position()


class Poller(Source):
    """A source that polls an upstream once per interval and sends one event for each new item, in order.

    An item is new if its event id is not among the last 10,000 ids. These ids are in the checkpoint, with the values of
    each :class:`Incremental`. What becomes of an item:

    * ``DELIVERED``, ``DEAD_LETTERED``: the poll goes on.
    * ``REJECTED``: the item is lost and not sent again, unless :meth:`sends_again` says so. The poll goes on.
    * ``GAVE_UP``: the poll ends. The next poll sends the item again, before the items after it.

    ``/readiness`` answers 503 before the first item to send or the first successful poll, and after three failed polls
    in a row.

    The next poll is later if the upstream asks for it: with ``X-Poll-Interval`` in any response, or with
    ``Retry-After`` or a used-up rate limit in a response that ``raise_for_status()`` refuses.
    """

    is_poller = True
    keeps_checkpoint: ClassVar[tuple[str, ...]] = ("interval",)  # a kind adds its own fields to it

    interval: Interval = Field(
        default=Interval("1m"), description='Time between two polls, such as "30s" or "5m"; at least 1ms.'
    )

    _position: Position = PrivateAttr(default_factory=_new_position)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "workers" in vars(cls):
            raise TypeError(f"{cls.__name__}.workers(): a Poller sends one item at a time; remove the method")

    def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event] | Awaitable[Iterable[Event]] | Iterable[Event]:
        """Return the current items in the order to send them, each an Event with a non-empty id that identifies it.

        Items that were sent before may be among them; they are not sent again. Write ``poll()`` as an ``async def``
        that returns the events, or as a generator that yields them, ``async`` or not.

        The ``yield`` of a generator returns the :class:`Outcome` of its event: ``DELIVERED``, ``DEAD_LETTERED`` or
        ``REJECTED``. For an item that was sent before, it returns the outcome of that time, and None if
        :meth:`skip_existing` has left it out. After ``GAVE_UP``, the generator is closed at the ``yield``: its
        ``finally`` blocks run, and the code after the ``yield`` does not. So move a cursor after the ``yield``.

        ``client`` has the limits of :meth:`body_limit`, follows at most 5 redirects and keeps no cookies. An exception
        fails the poll. An item that is not an Event with an id is a ``TypeError`` and ends the adapter.
        """
        raise NotImplementedError(f"{type(self).__name__} has no poll(); define `async def poll(self, client)`")

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        """Default: True only for ``GAVE_UP``, because the next poll of this or a later process finds the item again.

        While the adapter stops, it is False if the next process may skip the item: if :meth:`skip_existing` is True,
        and the checkpoint is not shared with that process or not yet saved.

        Return True for ``REJECTED``, too, if ``poll()`` keeps a refused item, for example by not moving its cursor. The
        next poll that finds the item then sends it again.
        """
        may_skip = self.skip_existing() and not self._position.is_kept
        return outcome is Outcome.GAVE_UP and not (stopping and may_skip)

    def skip_existing(self) -> bool:
        """True: without a checkpoint, the first successful poll sends nothing, and only remembers the ids of its items.

        If a later process with this checkpoint returns False, it sends the skipped items that are still listed.
        """
        return False

    def tls_context(self) -> ssl.SSLContext:
        """The CAs that the client trusts: those of the system. The PEM files in ``TRUST_BUNDLES`` are added."""
        from adapter.net.tls import tls_context

        return tls_context()

    def poll_limit_s(self) -> float:
        """Seconds that one poll may take before it is cancelled and fails. The time of deliveries does not count."""
        return 60.0

    def body_limit(self) -> int:
        """Maximum bytes of a response, before and after decompression. A longer response is a :class:`PollFailed`.

        Parsed JSON can take 48 times the memory of its text, and a pod has 128 MiB.
        """
        return 1024 * 1024

    async def events(
        self,
        context: Context,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        window: int | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> AsyncGenerator[Event, Outcome]:
        """Yields the new items of each poll. ``transport`` replaces the network; ``window``: how many ids to keep,
        default 10,000.

        ``jitter``: from 0 to 1, the share of the longest jitter that is added to a wait that the upstream asks for.
        """
        from adapter.polling.one_poll import OnePoll

        position = self._position = await self._restored(context, window)
        incrementals, skip = _incrementals(type(self)), self.skip_existing() and not position.is_restored
        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        monitor, upstream = PollMonitor(context), self._upstream(context, transport)
        last_poll = LastPoll(context, found_again=lambda: self.sends_again(Outcome.GAVE_UP, stopping=True))
        due = context.clock.now()
        async with contextlib.aclosing(upstream), monitor, last_poll:
            while True:
                is_last, complete, is_final = last_poll.requested, False, True
                limit_s, now = self.poll_limit_s(), context.clock.now
                see = partial(position.see, incrementals=incrementals)
                async with OnePoll(upstream.client, self.poll, limit_s, now, self._describe, see) as poll:
                    async for event in poll:
                        if not skip:  # else a new process would be ready, and end the old one, before it has read all
                            monitor.first_item_seen()
                        key = self._key(event)
                        known, outcome = position.handled.find(key)
                        if not known and skip:
                            position.skip(key)
                        elif not known:
                            outcome = yield event
                            if outcome is Outcome.GAVE_UP:
                                break  # poll() does not go on: the next poll sends this item before those after it
                            if outcome is Outcome.REJECTED and self.sends_again(outcome, stopping=False):
                                is_final = False
                            else:
                                position.add(key, outcome)
                        poll.outcome = outcome
                    else:
                        complete = True
                succeeded = poll.result.outcome == OK
                skip = skip and not succeeded
                position.end_poll(is_final=complete and is_final and succeeded)
                monitor.record(poll.result)
                last_poll.polled(poll.result)
                if is_last:
                    last_poll.ended(poll.result, complete=complete)
                    return
                wait_s = poll.result.retry_after_s
                earliest = context.clock.now() + timedelta(seconds=wait_s + jitter() * min(wait_s / 10, MAX_JITTER_S))
                if upstream.poll_interval_s:
                    earliest = max(earliest, due + timedelta(seconds=upstream.poll_interval_s) - 2 * _MICROSECOND)
                due = _next_due(schedule, earliest)
                await last_poll.wait_until(due)

    async def _restored(self, context: Context, window: int | None) -> Position:
        """The position in the checkpoint. If it cannot be read, the source stays unready and sends nothing."""
        from adapter.polling.position import WINDOW, Position, UnusableRecord

        try:
            return Position.restored(
                context.checkpoint, sends_skipped=not self.skip_existing(), window=window or WINDOW
            )
        except UnusableRecord as error:
            remedy = f"delete the record {context.checkpoint.key} to start without one, then restart the pod"
            reason = f"the checkpoint cannot be used: {error}; {remedy}"
            context.log.error("checkpoint not usable; the source does not start", extra={"fields": {"reason": reason}})
            context.set_unready(reason)
            await asyncio.Event().wait()
            raise

    def _upstream(self, context: Context, transport: httpx2.AsyncBaseTransport | None) -> Upstream:
        from adapter.polling.client import Upstream

        return Upstream(self.tls_context, context.trust_bundles, self.body_limit(), transport, context.egress)

    def _describe(self, error: Exception) -> dict[str, Any]:
        from adapter.serving.failures import failure_fields

        return failure_fields(error, type(self).__module__, secret_texts(self))

    def _key(self, event: Event) -> str:
        if not isinstance(event, Event):
            problem = f"a {type(event).__name__}; return a list of Events, or yield Events"
        elif not isinstance(event.id, str) or not event.id:
            problem = "an Event without id; write Event(id=...) with a key that identifies the item"
        else:
            return event.id
        raise TypeError(f"{type(self).__name__}.poll() found {problem}")


def _next_due(schedule: Schedule, earliest: datetime) -> datetime:
    """The first tick after ``earliest``. One microsecond is added: a clock does not show a tick's nanoseconds."""
    return schedule.due(schedule.latest_at(earliest + _MICROSECOND) + 1)


def _incrementals(cls: type[Poller]) -> list[Incremental]:
    from adapter.polling.incremental import Incremental

    values = {name: value for each in reversed(cls.__mro__) for name, value in vars(each).items()}
    return [value for value in values.values() if isinstance(value, Incremental)]


def position_of(source: Poller) -> Position:
    """The position of a source in this process."""
    return source._position


def note_poll(source: object, events: Iterable[Event], outcomes: Iterable[Outcome]) -> None:
    """Move the cursors of a Poller after a poll outside an adapter. ``outcomes``: those that the poll got."""
    if not isinstance(source, Poller):
        return
    for event in events:
        source._position.see(event, _incrementals(type(source)))
    again = any(source.sends_again(outcome, stopping=False) for outcome in outcomes)
    source._position.end_poll(is_final=not again)
