"""What one open page gets: server-sent events. They are a sample, because no page can show a thousand a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from adapter.display.feed import Feed
from adapter.display.record import Record, as_message, encode_message

BACKLOG = 200  # of the newest events, which a new page gets at once
RATE = 50  # events per second afterwards
PART_SIZE = 256 * 1024  # bytes; one event more may exceed it
EVERY_S = 0.1  # between two parts
COUNTS_EVERY_S = 1.0
RETRY_MS = 1000  # a page that loses the connection waits so long


class Sampler:
    """Chooses at most ``rate`` events per second, and a burst of as many. Failed ones and dead letters come first."""

    def __init__(self, now: float, rate: int = RATE) -> None:
        self._rate, self._allowed, self._at = rate, float(rate), now

    def take(self, new: Sequence[Record], now: float) -> list[Record]:
        """``now``: seconds of any clock. The chosen ones of ``new``, in its order."""
        self._allowed = min(self._rate, self._allowed + (now - self._at) * self._rate)
        self._at = now
        marked = [record for record in new if record.is_failed or record.dead_letter]
        others = [record for record in new if not (record.is_failed or record.dead_letter)]
        chosen = _spread(marked, int(self._allowed))
        chosen += _spread(others, int(self._allowed) - len(chosen))
        self._allowed -= len(chosen)
        return sorted(chosen, key=lambda record: record.number)


def _spread(records: Sequence[Record], count: int) -> list[Record]:
    """``count`` of the records at equal distances, with the newest one."""
    if len(records) <= count:
        return list(records)
    return [records[(index + 1) * len(records) // count - 1] for index in range(count)]


class Viewer:
    """``after``: the number of the last event that the page has; 0 if it has none."""

    def __init__(self, feed: Feed, after: int = 0) -> None:
        self._feed, self._after = feed, after
        self._sampler = Sampler(feed.clock())
        self._arrived = self._sent = 0  # events since the last counts
        self._counted_at = feed.clock()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The parts of the stream. The next one is made when the page has taken the one before it."""
        feed, new = self._feed, asyncio.Event()
        feed.watching.add(new)
        try:
            yield f"retry: {RETRY_MS}\n\n".encode() + encode_message("start", {"session": feed.session})
            yield self._backlog()
            while True:
                new.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, self._counted_at + COUNTS_EVERY_S - feed.clock())):
                        await new.wait()
                if part := self._part():
                    yield part
                await asyncio.sleep(EVERY_S)
        finally:
            feed.watching.discard(new)

    def _backlog(self) -> bytes:
        part = self._encode(self._feed.since(self._after)[-BACKLOG:])
        self._after, self._sent = self._feed.counts.total, 0
        return part + self._counts()

    def _part(self) -> bytes:
        feed = self._feed
        part = self._encode(self._sampler.take(feed.since(self._after), feed.clock()))
        self._arrived += feed.counts.total - self._after
        self._after = feed.counts.total
        return part + (self._counts() if feed.clock() >= self._counted_at + COUNTS_EVERY_S else b"")

    def _encode(self, records: Sequence[Record]) -> bytes:
        """The newest of the records that fit into a part, oldest first."""
        encoded: list[bytes] = []
        size = 0
        for record in reversed(records):
            if size > PART_SIZE:
                break
            encoded.append(encode_message("event", as_message(record), f"{self._feed.session}-{record.number}"))
            size += len(encoded[-1])
        self._sent += len(encoded)
        return b"".join(reversed(encoded))

    def _counts(self) -> bytes:
        now, counts = self._feed.clock(), self._feed.counts
        value = {
            "total": counts.total,
            "failed": counts.failed,
            "deadLetters": counts.dead_letters,
            "rates": self._feed.rates(),
            "arrived": self._arrived,
            "sent": self._sent,
            "seconds": round(now - self._counted_at, 3),
        }
        self._arrived, self._sent, self._counted_at = 0, 0, now
        return encode_message("counts", value)
