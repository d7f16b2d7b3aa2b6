"""What polls are made with: the client, the keys that are done with, how polls go and what a failure says."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from adapter import __version__
from adapter.logs import Digest, place_of

if TYPE_CHECKING:  # httpx2 is half of what importing adapter.sdk would cost, and most kinds are no pollers
    import httpx2

    from adapter.source import Context

WINDOW = 10_000  # keys of items that are done with
FAILURES_UNTIL_UNREADY = 3
LONGEST_WAIT_S = 3600.0
REQUEST_S = 30.0  # without anything from the other side
REDIRECTS = 5
REASON_LENGTH = 200
NOT_YET = "no poll has succeeded yet"
OK, UNCHANGED, FAILED = "ok", "unchanged", "failed"
T = TypeVar("T")


class PollFailed(Exception):
    """The upstream is broken; the text goes to the log, so it holds no data and no secret.

    ``retry_after_s``: how long the upstream asks to be left alone, honoured up to an hour.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(" ".join(reason.split())[:REASON_LENGTH])
        self.retry_after_s = min(max(0.0, retry_after_s), LONGEST_WAIT_S)  # in this order, NaN is 0


class TooLong(PollFailed):
    """An answer of more bytes than the client reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is longer than {limit} bytes (body_limit)")


class Unchanged(Exception):
    """What a poll raises that was told that there is nothing new (304)."""


@contextlib.contextmanager
def broken_upstream(context: Context) -> Iterator[None]:
    try:
        yield
    except (PollFailed, Unchanged):
        raise
    except Exception as error:
        raise _failure(error, context) from error


def _failure(error: Exception, context: Context) -> PollFailed:
    """Words only where they are known to hold neither data nor secrets; else the exception's type and place."""
    import httpx2

    from adapter.answers import reason_of, retry_after_s

    if isinstance(error, httpx2.HTTPStatusError):  # its text has the URL
        response = error.response
        wait_s = retry_after_s(response.headers.get("Retry-After"), context.clock.now())
        return PollFailed(f"answered {response.status_code}", wait_s)
    quotes_a_header = isinstance(error, httpx2.LocalProtocolError)
    if isinstance(error, httpx2.RequestError | OSError) and not quotes_a_header:
        return PollFailed(reason_of(error))
    return PollFailed(f"{type(error).__name__} at {place_of(error)}")


async def within(limit_s: float, found: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
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


class Upstream:
    """``trust()``: a TLS context of the source's own; mounted bundles are added to it, and taken up as they change."""

    def __init__(self, trust: Callable[[], ssl.SSLContext], bundles: Path | None, body_limit: int) -> None:
        self._trust = trust
        self._bundles = bundles
        self._body_limit = body_limit
        self._stamp: object = None
        self._client: httpx2.AsyncClient | None = None

    async def client(self) -> httpx2.AsyncClient:
        """The same one as before, unless bundles have changed; ``ssl.SSLError`` if one cannot be read."""
        from adapter.tls import add_bundles, stamp_of

        stamp = stamp_of(self._bundles)
        if self._client is None or stamp != self._stamp:
            tls = self._trust()
            add_bundles(tls, self._bundles)
            await self.aclose()
            self._client, self._stamp = _client(tls, self._body_limit), stamp
        return self._client

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _client(tls: ssl.SSLContext, body_limit: int) -> httpx2.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2

    from adapter.bounded import Bounded

    return httpx2.AsyncClient(
        transport=Bounded(httpx2.AsyncHTTPTransport(verify=tls, trust_env=False), body_limit),
        timeout=REQUEST_S,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=True,
        max_redirects=REDIRECTS,
        trust_env=False,
        headers={"User-Agent": f"sample-source/{__version__}", "Accept-Encoding": "gzip"},
    )


class Window:
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


class Record:
    """Says, counts and shows how polls go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._digest = Digest(context.log, context.clock.now)
        self._failures = 0  # in a row
        self._failure_said = False
        self._succeeded = False
        context.trouble(NOT_YET)
        for outcome in (OK, UNCHANGED, FAILED):
            context.polled(outcome, 0)

    def found_something(self) -> None:
        """The first poll's items may take the sink long: that is no trouble of the upstream."""
        if not self._succeeded:
            self._succeeded = True
            self._context.trouble(None)

    def went_well(self, outcome: str) -> None:
        self._succeeded = True
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
        elif not self._succeeded:
            self._context.trouble(f"{NOT_YET}: {failure}")
