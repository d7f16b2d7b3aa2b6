"""The sink: answers each CloudEvent as the options say, prints it and puts it on the page."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import chain, repeat
from random import Random

from adapter.cloudevents.attributes import ReceivedEvent
from adapter.cloudevents.decode import read_event, shown_event
from adapter.contract.formats import Json, printable
from adapter.display.feed import Feed
from adapter.display.page import Page
from adapter.display.record import event_record, refused_record
from adapter.display.text import as_json, as_text
from adapter.serving.connection import Reset
from adapter.serving.messages import Request, Response, Stream


class Display:
    """Responds with ``--statuses`` in order, then with 202. The other options delay the response or make it fail."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._chance = Random()
        self._statuses: Iterator[int] = chain(options.statuses, repeat(202))
        self._feed = Feed(time.monotonic)
        self._page = Page(self._feed)

    async def answer(self, request: Request) -> Response | Stream:
        if request.method in ("GET", "HEAD"):
            return Response(200, b"ok\n") if request.path == "/healthz" else self._page.respond(request)
        if request.method != "POST":
            return Response(405, b"only POST\n", {"Allow": "GET, HEAD, POST"})
        try:
            received = read_event(request)
            event = shown_event(received)
        except ValueError as error:
            print(printable(f"not a CloudEvent: {error}"), file=sys.stderr, flush=True)
            self._feed.add(refused_record(self._feed.next_number, request.received, str(error)))
            return Response(400, f"{error}\n".encode("utf-8", "replace"))
        return await self._take(received, event, request)

    async def _take(self, received: ReceivedEvent, event: dict[str, Json], request: Request) -> Response:
        options, status = self._options, next(self._statuses)
        if options.flaky and self._chance.random() < options.flaky:
            status = 503
        answered = None if options.hang or options.reset else status
        show = as_json if options.format == "jsonl" else as_text
        print(show(event, answered, request.headers), flush=True)
        self._feed.add(event_record(self._feed.next_number, request.received, answered, received, event))
        await asyncio.sleep(options.delay)
        if options.hang:
            await asyncio.Event().wait()
        if options.reset:
            raise Reset
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        if options.retry_after is not None and status >= 300:
            headers["Retry-After"] = options.retry_after
        return Response(status, headers=headers)
