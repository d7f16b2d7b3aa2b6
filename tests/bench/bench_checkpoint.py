"""Saves of checkpoints: their time per store, the call of an author, and the throughput of an adapter that saves.

PostgreSQL and Redis are started on loopback. The stores take turns, so that other load hits all of them. The throughput
is that of runtime, delivery and a sink in this process, per second of CPU, with a save per event and without, in turn.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The imports below need this line: a script has only its own folder on sys.path.
sys.path.insert(0, str(ROOT))

from adapter.checkpoints.saver import Saver  # noqa: E402 -- after sys.path is set
from adapter.checkpoints.store import Record, Store  # noqa: E402 -- after sys.path is set
from adapter.checkpoints.urls import open_store  # noqa: E402 -- after sys.path is set
from adapter.cloudevents.encode import encode  # noqa: E402 -- after sys.path is set
from adapter.contract.delivery_policy import Policy  # noqa: E402 -- after sys.path is set
from adapter.delivery.channel import Channel, Destination  # noqa: E402 -- after sys.path is set
from adapter.delivery.delivery import Delivery  # noqa: E402 -- after sys.path is set
from adapter.model.checkpoint import Checkpoint  # noqa: E402 -- after sys.path is set
from adapter.model.clock import SystemClock  # noqa: E402 -- after sys.path is set
from adapter.observe.metrics import Metrics  # noqa: E402 -- after sys.path is set
from adapter.runtime.deliveries import Drain  # noqa: E402 -- after sys.path is set
from adapter.runtime.runtime import Runtime  # noqa: E402 -- after sys.path is set
from adapter.sdk import Context, Event, Outcome, Source  # noqa: E402 -- after sys.path is set

SAVES, ROUNDS, EVENTS = 200, 7, 1500
VALUES = {"1 KB": "x" * 1000, "110 KB": [f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in range(5800)]}
LIMITS_MS = {"file": 1.0, "volume": None, "postgresql": 5.0, "redis": 5.0}  # volume: it waits for the disk
SAVE_US, THROUGHPUT = 20.0, 0.9
RESPONSE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def stores() -> Iterator[dict[str, str]]:
    """Name -> URL. Leaves out a server that is not installed."""
    import pytest

    from tests.process.kinds.servers import Postgres, RedisServer, server_directory

    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"file": f"file://{directory}/pod", "volume": f"file://{directory}/volume?shared=true"}
        for name, kind in (("postgresql", Postgres), ("redis", RedisServer)):
            try:
                server = kind(stack.enter_context(server_directory()))
            except pytest.skip.Exception as missing:
                print(f"skipped: {missing}")
                continue
            stack.callback(server.stop)
            urls[name] = server.url
        yield urls


async def times_ms(urls: dict[str, str], value: object) -> dict[str, list[float]]:
    opened = {name: open_store(url, f"bench{len(repr(value))}") for name, url in urls.items()}
    times: dict[str, list[float]] = {name: [] for name in urls}
    for store in opened.values():
        await store.load()
    for version in range(1, SAVES + 1):
        for name, store in opened.items():
            started = time.perf_counter()
            assert await store.save(Record(version, value)) == version  # type: ignore[arg-type]
            times[name].append((time.perf_counter() - started) * 1000)
    for store in opened.values():
        await store.aclose()
    return times


class Sink:
    """Accepts and counts events."""

    port = accepted = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
                self.accepted += 1
                writer.write(RESPONSE)
        writer.close()

    async def wait_for(self, count: int) -> None:
        while self.accepted < count:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Saving(Source):
    """Sends ``count`` events, and saves a position after each."""

    count: int = 0
    saves: bool = True

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        for number in range(self.count):
            yield Event(type="t", data={"n": number})
            if self.saves:
                context.checkpoint.save({"position": number})


async def events_per_cpu_s(sink: Sink, store: Store | None, *, saves: bool) -> float:
    log, clock, metrics = logging.getLogger("bench"), SystemClock(), Metrics("ns", "n", "Saving")
    channel = Channel(Destination(f"http://127.0.0.1:{sink.port}/"), 10, clock)
    delivery = Delivery(channel, Policy(), clock, random.Random(), metrics, log)
    saver = Saver(Checkpoint(), store, clock, log)
    context = Context("/s", "uid", clock.now(), clock, log, checkpoint=saver.checkpoint)
    encoder = partial(encode, source="/s", namespace="ns", overrides={})
    runtime = Runtime(Saving(count=EVENTS, saves=saves), context, encoder, delivery, metrics, Drain(5), saver=saver)
    before = sink.accepted
    task = asyncio.create_task(runtime.run())
    await sink.wait_for(before + 1)  # the store is connected
    started = time.process_time()
    await sink.wait_for(before + EVENTS)
    rate = EVENTS / (time.process_time() - started)
    runtime.stop()
    await task
    await saver.aclose()
    await channel.aclose()
    return rate


async def ratios(urls: dict[str, str]) -> dict[str, float]:
    """The throughput with each store, divided by that of the same round without a checkpoint."""
    sink, found = Sink(), {name: list[float]() for name in urls}
    server = await asyncio.start_server(sink.answer, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    for number in range(ROUNDS):
        for name, url in urls.items():
            with_it = await events_per_cpu_s(sink, open_store(url, f"rate{number}"), saves=True)
            found[name].append(with_it / await events_per_cpu_s(sink, None, saves=False))
    server.close()
    return {name: statistics.median(values) for name, values in found.items()}


def verdict(value: float, limit: float | None, *, at_most: bool = True) -> str:
    if limit is None:
        return ""
    reached = value <= limit if at_most else value >= limit
    return f", target {limit:g}: {'reached' if reached else 'MISSED'}"


def main() -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}, Python {platform.python_version()}")
    checkpoint, value = Checkpoint(), {"cursor": "2026-11-28T00:00:00Z", "id": 12345}
    call_us = min(timeit.repeat(lambda: checkpoint.save(value), number=10_000, repeat=5)) * 100
    print(f"context.checkpoint.save()  {call_us:.1f} us{verdict(call_us, SAVE_US)}")
    with stores() as urls:
        for size, each in VALUES.items():
            for name, times in asyncio.run(times_ms(urls, each)).items():
                least, middle, most = min(times), statistics.median(times), statistics.quantiles(times, n=20)[-1]
                figures = f"least {least:.2f}  p50 {middle:.2f}  p95 {most:.2f} ms"
                print(f"{name:<10} {size:>6}  {figures}{verdict(middle, LIMITS_MS[name])}")
        for name, ratio in asyncio.run(ratios(urls)).items():
            print(f"{name:<10} throughput {ratio:.2f} x that without{verdict(ratio, THROUGHPUT, at_most=False)}")


if __name__ == "__main__":
    main()
