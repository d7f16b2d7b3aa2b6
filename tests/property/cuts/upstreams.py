"""Upstreams whose items appear at scripted times, and the kinds that poll them."""

from __future__ import annotations

import asyncio
import json
import ssl
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import httpx2
from pydantic import PrivateAttr

from adapter.net import tls
from adapter.sdk import Context, Event, Incremental, Outcome, Poller
from adapter.sources.poll_source import PollSource
from tests.property.cuts.virtual_loop import START

LISTED = 400  # number of items that the sliding list holds: the newest ones
PAGE = 100
ITEM_S = 0.1  # mean time between two items
QUIET_S = 5.0
BEFORE = 20  # items that exist before the first process starts
LATEST_S = 2.0  # an item of Pages is visible at most so long after its time
URL = "http://upstream/items"


@dataclass(frozen=True)
class Item:
    number: int
    at_s: float
    visible_s: float  # when the upstream begins to list it

    @property
    def at(self) -> str:
        time = START + timedelta(days=1, seconds=self.at_s)
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def scripted_items(count: int, random: Random, late_s: float) -> list[Item]:
    """In the order of their times, each visible at most ``late_s`` later. Quiet times follow every 200th item."""
    at_s, items = -BEFORE * ITEM_S, []
    for number in range(count):
        at_s += random.expovariate(1 / ITEM_S) + (QUIET_S if number % 200 == 199 else 0.0)
        items.append(Item(number, at_s, at_s + random.uniform(0, late_s)))
    return items


class SlidingList(httpx2.AsyncBaseTransport):
    """Lists the newest items, oldest first, with an ETag. Each request takes 10 ms.

    ``first``: the numbers of the items in the first response.
    """

    late_s = 0.0

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.first: set[int] | None = None
        self._at_s = [item.at_s for item in items]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0.01)
        tag, listed = self._listed(request, asyncio.get_running_loop().time())
        self.first = {item.number for item in listed} if self.first is None else self.first
        if request.headers.get("If-None-Match") == tag:
            return httpx2.Response(304)
        body = json.dumps([{"id": str(item.number), "at": item.at} for item in listed]).encode()
        return httpx2.Response(200, headers={"ETag": tag}, content=body)

    def _listed(self, request: httpx2.Request, now_s: float) -> tuple[str, list[Item]]:
        count = bisect_right(self._at_s, now_s)
        return f'"{count}"', self.items[max(0, count - LISTED) : count]


class Pages(SlidingList):
    """Lists the items from the time ``since`` on, oldest first. Items become visible in another order.

    The pages of one poll show the moment ``snapshot``, which the first page names as its ETag.
    """

    late_s = LATEST_S

    def _listed(self, request: httpx2.Request, now_s: float) -> tuple[str, list[Item]]:
        params = request.url.params
        since, page, now_s = params["since"], int(params["page"]), float(params["snapshot"] or now_s)
        begin = bisect_left(self.items, since, key=lambda item: item.at)
        visible = [item for item in self.items[begin : bisect_right(self._at_s, now_s)] if item.visible_s <= now_s]
        return str(now_s), visible[page * PAGE : (page + 1) * PAGE]


class ListSource(PollSource):
    """Polls the sliding list."""

    _transport: httpx2.AsyncBaseTransport = PrivateAttr()

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:  # type: ignore[override]
        return super().events(context, transport=self._transport, window=2 * LISTED, jitter=lambda: 0.0)


class PageSource(Poller):
    """Polls the pages from its cursor on."""

    keeps_checkpoint = ("skips",)
    since = Incremental("at", lag="2s")
    skips: bool = True
    _transport: httpx2.AsyncBaseTransport = PrivateAttr()

    def skip_existing(self) -> bool:
        return self.skips

    def tls_context(self) -> ssl.SSLContext:
        return tls.empty_context()

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:  # type: ignore[override]
        return super().events(context, transport=self._transport, window=2 * LISTED, jitter=lambda: 0.0)

    async def poll(self, client: Any) -> AsyncGenerator[Event, Outcome | None]:  # type: ignore[override]
        page, items, snapshot = 0, [None], ""
        while items:
            params = {"page": page, "since": self.since.value or "", "snapshot": snapshot}
            response = await client.get(URL, params=params)
            items, snapshot = response.json(), response.headers["ETag"]
            for item in items:
                yield Event(type="t", id=item["id"], data=item)
            page += 1
