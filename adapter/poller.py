"""Sources that look for new items: at once when they start, then at fixed times; each item is sent once, in order.

A cursor of any kind moves only after the sink's answer. An upstream that is broken is said, counted and ends readiness;
it never ends the adapter. Items are known by their own keys, the latest ``WINDOW`` of them; nothing else is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter import __version__
from adapter.durations import Interval
from adapter.logs import Digest, place_of
from adapter.source import Context, Event, Outcome, Source
from adapter.timer import Schedule

if TYPE_CHECKING:  # httpx2 is half of what importing adapter.sdk would cost, and most kinds are no pollers
    import ssl

    import httpx2

WINDOW = 10_000  # keys of items that are done with
FAILURES_UNTIL_UNREADY = 3
LONGEST_WAIT_S = 3600.0
REQUEST_S = 30.0  # without anything from the other side
REDIRECTS = 5
REASON_LENGTH = 200
OK, UNCHANGED, FAILED = "ok", "unchanged", "failed"


class PollFailed(Exception):
    """The upstream is broken; the text goes to the log, so it holds no data and no secret.

    ``retry_after_s``: how long the upstream asks to be left alone, honoured up to an hour.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(" ".join(reason.split())[:REASON_LENGTH])
        self.retry_after_s = min(retry_after_s, LONGEST_WAIT_S)


class Unchanged(Exception):
    """What a poll raises that was told that there is nothing new (304)."""


class Poller(Source):
    """A source that looks for new items every interval."""

    interval: Interval = Field(
        default=Interval("1m"), description='How often it looks for new items, such as "30s" or "5m"; at least 1ms.'
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "max_in_flight" in cls.model_fields:
            raise TypeError(f"{cls.__name__}.max_in_flight: items are sent in order, one at a time; take the field out")

    def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event] | Awaitable[Iterable[Event]]:
        """The items there are, each an Event with an id of its own; those already sent may be among them.

        ``async def`` that returns them, or an async generator: what stands after its last ``yield`` runs once the sink
        has them all, so that is where a cursor moves. Any exception means that the upstream is broken.
        """
        raise TypeError(f"{type(self).__name__} has no poll(); define `async def poll(self, client)`")

    def takes_note_first(self) -> bool:
        """Whether the first poll only takes note of the items there are, and sends none."""
        return False

    def tls_context(self) -> ssl.SSLContext:
        """Whom the client trusts: the system's authorities."""
        from adapter.channel import Destination, tls_context

        return tls_context(Destination("https://"))

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        if type(self).poll is Poller.poll:
            name = type(self).__name__
            raise TypeError(f"{name} has no poll(); define `async def poll(self, client): return [Event(...)]`")
        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        record, done, noting = _Record(context), _Window(), self.takes_note_first()
        async with _client(self.tls_context()) as client:
            while True:
                wait_s = 0.0
                try:
                    async with contextlib.aclosing(self._found(client, context)) as found:
                        async for event in found:
                            if done.knows(event.id or ""):
                                continue
                            if not noting and (yield event) is Outcome.GAVE_UP:
                                break  # it comes again with the next poll, and those behind it
                            done.add(event.id or "")
                        else:
                            noting = False
                    record.went_well(OK)
                except Unchanged:
                    record.went_well(UNCHANGED)
                except PollFailed as failure:
                    record.failed(failure)
                    wait_s = failure.retry_after_s
                earliest = context.clock.now() + timedelta(seconds=wait_s)
                await context.clock.sleep_until(_next(schedule, earliest))

    async def _found(self, client: httpx2.AsyncClient, context: Context) -> AsyncGenerator[Event, None]:
        """What poll() finds. Its exceptions come out as PollFailed, the author's mistakes as TypeError."""
        with _broken_upstream(context):
            made = self.poll(client)
            found = await made if inspect.isawaitable(made) else made
        if not isinstance(found, AsyncIterable | Iterable):
            raise self._mistake(f"returned {type(found).__name__}; return a list of Events")
        async with contextlib.aclosing(_each(found, context)) as events:
            async for event in events:
                if not isinstance(event, Event):
                    raise self._mistake(f"found a {type(event).__name__}; make each item an Event")
                if not isinstance(event.id, str) or not event.id:
                    raise self._mistake("made an Event without id; write Event(id=...) with the item's own key")
                yield event

    def _mistake(self, what: str) -> TypeError:
        return TypeError(f"poll() of {type(self).__name__} {what}")


def _next(schedule: Schedule, earliest: datetime) -> datetime:
    """After ``earliest``, even if that is a tick whose nanoseconds a clock does not show."""
    return schedule.due(schedule.latest_at(earliest + timedelta(microseconds=1)) + 1)


async def _each(found: AsyncIterable[Event] | Iterable[Event], context: Context) -> AsyncGenerator[Event, None]:
    with _broken_upstream(context):
        if isinstance(found, AsyncIterable):
            async with contextlib.AsyncExitStack() as stack:
                if isinstance(found, AsyncGenerator):
                    stack.push_async_callback(found.aclose)
                async for event in found:
                    yield event
        else:
            for event in found:
                yield event


@contextlib.contextmanager
def _broken_upstream(context: Context) -> Iterator[None]:
    try:
        yield
    except (PollFailed, Unchanged):
        raise
    except Exception as error:
        raise _failure(error, context) from error


def _failure(error: Exception, context: Context) -> PollFailed:
    """Words only where they are known to hold neither data nor secrets; else the exception's type and place."""
    import httpx2

    from adapter.channel import reason_of, retry_after_s

    if isinstance(error, httpx2.HTTPStatusError):  # its text has the URL
        response = error.response
        wait_s = retry_after_s(response.headers.get("Retry-After"), context.clock.now())
        return PollFailed(f"answered {response.status_code}", wait_s)
    quotes_a_header = isinstance(error, httpx2.LocalProtocolError)
    if isinstance(error, httpx2.RequestError | OSError) and not quotes_a_header:
        return PollFailed(reason_of(error))
    return PollFailed(f"{type(error).__name__} at {place_of(error)}")


def _client(tls: ssl.SSLContext) -> httpx2.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2

    return httpx2.AsyncClient(
        verify=tls,
        timeout=REQUEST_S,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=True,
        max_redirects=REDIRECTS,
        trust_env=False,
        headers={"User-Agent": f"sample-source/{__version__}"},
    )


class _Window:
    """The keys of the latest items, as digests: a key may be of any length."""

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, None] = OrderedDict()

    def knows(self, id: str) -> bool:
        """What is still listed stays known, however many others come."""
        key = _digest(id)
        known = key in self._keys
        if known:
            self._keys.move_to_end(key)
        return known

    def add(self, id: str) -> None:
        self._keys[_digest(id)] = None
        if len(self._keys) > WINDOW:
            self._keys.popitem(last=False)


def _digest(id: str) -> bytes:
    return hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Record:
    """Says, counts and shows how polls go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._digest = Digest(context.log, context.clock.now)
        self._failures = 0  # in a row
        self._failure_said = False
        for outcome in (OK, UNCHANGED, FAILED):
            context.polled(outcome, 0)

    def went_well(self, outcome: str) -> None:
        self._context.polled(outcome, 1)
        self._context.trouble(None)
        self._digest.settle()
        if self._failure_said:
            self._context.log.info("polls succeed again", extra={"fields": {"failures_in_a_row": self._failures}})
        self._failures, self._failure_said = 0, False

    def failed(self, failure: PollFailed) -> None:
        self._context.polled(FAILED, 1)
        self._failures += 1
        said = self._digest.warning("poll failed", reason=str(failure), retry_after_s=failure.retry_after_s)
        self._failure_said = self._failure_said or said
        if self._failures >= FAILURES_UNTIL_UNREADY:
            self._context.trouble(f"{self._failures} polls in a row failed: {failure}")
