"""What polls are made with: the client, the keys that are done with, how polls go and what a failure says."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, TypeVar

from adapter.polling.errors import PollFailed, Unchanged
from adapter.serving.logs import LogThrottle, error_location

if TYPE_CHECKING:  # httpx2 is half of what importing adapter.sdk would cost, and most kinds are no pollers
    from adapter.model.source import Context

WINDOW = 10_000  # keys of items that are done with
FAILURES_UNTIL_UNREADY = 3
NOT_YET = "no poll has succeeded yet"
OK, UNCHANGED, FAILED = "ok", "unchanged", "failed"
T = TypeVar("T")


@contextlib.contextmanager
def poll_errors(context: Context) -> Iterator[None]:
    try:
        yield
    except (PollFailed, Unchanged):
        raise
    except Exception as error:
        raise _failure(error, context) from error


def _failure(error: Exception, context: Context) -> PollFailed:
    """Words only where they are known to hold neither data nor secrets; else the exception's type and place."""
    import httpx2

    from adapter.net.retry_after import reason_of, retry_after_s

    if isinstance(error, httpx2.HTTPStatusError):  # its text has the URL
        response = error.response
        wait_s = retry_after_s(response.headers.get("Retry-After"), context.clock.now())
        return PollFailed(f"answered {response.status_code}", wait_s)
    quotes_a_header = isinstance(error, httpx2.LocalProtocolError)
    if isinstance(error, httpx2.RequestError | OSError) and not quotes_a_header:
        return PollFailed(reason_of(error))
    return PollFailed(f"{type(error).__name__} at {error_location(error)}")


async def with_time_budget(limit_s: float, found: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Only the time that ``found`` takes counts, not what is done with what it found."""
    left_s, now = limit_s, asyncio.get_running_loop().time
    async with contextlib.aclosing(found):
        while True:
            began = now()
            try:
                async with asyncio.timeout(left_s):
                    item = await anext(found)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise PollFailed(f"the poll took longer than {limit_s:g} s") from None
            left_s -= now() - began
            yield item


class SeenKeys:
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


class PollMonitor:
    """Says, counts and shows how polls go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._digest = LogThrottle(context.log, context.clock.now)
        self._failures = 0  # in a row
        self._failure_said = False
        self._succeeded = False
        context.set_unready(NOT_YET)
        for outcome in (OK, UNCHANGED, FAILED):
            context.count_poll(outcome, 0)

    def first_item_seen(self) -> None:
        """The first poll's items may take the sink long: that is no trouble of the upstream."""
        if not self._succeeded:
            self._succeeded = True
            self._context.set_unready(None)

    def succeeded(self, outcome: str) -> None:
        self._succeeded = True
        self._context.count_poll(outcome, 1)
        self._context.set_unready(None)
        self._digest.flush()
        if self._failure_said:
            self._context.log.info("polls succeed again", extra={"fields": {"failures_in_a_row": self._failures}})
        self._failures, self._failure_said = 0, False

    def failed(self, failure: PollFailed) -> None:
        self._context.count_poll(FAILED, 1)
        self._failures += 1
        said = self._digest.warning("poll failed", reason=str(failure), retry_after_s=failure.retry_after_s)
        self._failure_said = self._failure_said or said
        if self._failures >= FAILURES_UNTIL_UNREADY:
            self._context.set_unready(f"{self._failures} polls in a row failed: {failure}")
        elif not self._succeeded:
            self._context.set_unready(f"{NOT_YET}: {failure}")
