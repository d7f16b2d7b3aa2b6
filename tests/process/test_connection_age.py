"""Connections are replaced under load when they reach their maximum age: no event is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

from adapter.cloudevents.encode import Message
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.channel import Channel, Destination
from adapter.testing.clock import VirtualClock
from tests.process.harness import DEADLINE_S, Start, display
from tests.process.webhook import Webhook

KIND = '''
import contextlib
from dataclasses import replace

from adapter.contract.timeouts import TIMEOUTS
from adapter.listening.listener import RequestHandler
from adapter.sdk import Event, Listener


class ShortSource(Listener):
    """A listener whose connections become old at once."""

    async def receive(self, request):
        return Event(type="com.example.short", id=request.headers["x-id"])

    @contextlib.asynccontextmanager
    async def running(self, context):
        handler = RequestHandler(self, context, replace(TIMEOUTS, connection_age_s=0.05))
        async with handler.serving():
            yield
'''
CALLERS, REQUESTS, IN_FLIGHT = 4, 150, 8
HEAD = {"ce-specversion": "1.0", "ce-type": "com.example.short", "ce-source": "/s"}


def call(port: int, number: int, statuses: Counter[int], closes: Counter[int]) -> None:
    """Requests on one kept connection, which is made again only after the listener has said so."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    for n in range(REQUESTS):
        connection.request("POST", "/", b"{}", {"X-Id": f"{number}-{n}"})
        response = connection.getresponse()
        response.read()
        statuses[response.status] += 1
        closes[number] += response.will_close
    connection.close()


def test_callers_lose_and_double_no_event_while_the_listener_closes_old_connections(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/short_source.py").write_text(KIND)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    sink, url = display(start)
    hook = Webhook(start, url, SOURCE_KIND="ShortSource", SOURCES_PACKAGE="own", PYTHONPATH=path)
    statuses, closes = Counter[int](), Counter[int]()
    callers = [threading.Thread(target=call, args=(hook.port, n, statuses, closes)) for n in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == {202: CALLERS * REQUESTS}
    assert min(closes[n] for n in range(CALLERS)) >= 2
    ids = Counter(sink.event()["id"] for _ in range(CALLERS * REQUESTS))
    assert ids == Counter(f"{number}-{n}" for number in range(CALLERS) for n in range(REQUESTS))
    hook.process.stop()
    sink.stop()
    assert sink.lines.empty()


class CountingLoop(asyncio.SelectorEventLoop):
    connections = 0

    async def create_connection(self, *arguments: object, **options: object) -> object:  # type: ignore[override]  # any arguments
        self.connections += 1
        return await super().create_connection(*arguments, **options)  # type: ignore[arg-type, call-overload]


def test_sink_gets_each_event_once_while_old_connections_to_it_are_replaced(start: Start) -> None:
    sink, url = display(start)
    count = CALLERS * REQUESTS

    async def test() -> Counter[str]:
        timeouts = replace(TIMEOUTS, connection_age_s=0.02)
        async with contextlib.aclosing(Channel(Destination(url), 20, VirtualClock(), timeouts=timeouts)) as channel:

            async def send(worker: int) -> list[str]:
                ids = range(worker, count, IN_FLIGHT)
                return [(await channel.post(Message({**HEAD, "ce-id": str(n)}, b"{}"))).code for n in ids]

            codes = await asyncio.gather(*(send(worker) for worker in range(IN_FLIGHT)))
            return Counter(code for each in codes for code in each)

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        codes = runner.run(test())
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        assert loop.connections >= 2 * IN_FLIGHT
    assert codes.total() == count
    assert all(code.startswith("2") for code in codes)
    assert Counter(sink.event()["id"] for _ in range(count)) == Counter(map(str, range(count)))
    sink.stop()
    assert sink.lines.empty()
