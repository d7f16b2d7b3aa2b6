"""Compares PollSource with a bare httpx2 loop: CPU per poll, items per second, idle memory and wake-ups.

The two programs run in turn on one core. The upstream (this process) and the sink (nginx) run on the other core. Both
programs poll without a pause, except for the idle figures, which cover the ten seconds that begin one second after a
single poll. Prints figures and ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.model.clock import LOOK_AGAIN_S
from tests.bench.bench_adapter import cpu_s, memory_mib, switches_of, verdict
from tests.bench.bench_delivery import nginx
from tests.process.harness import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
CORES = os.sched_getaffinity(0)
ROUNDS, POLLS, NEW_POLLS, ITEMS = 7, 600, 20, 100
SETTLE_S, IDLE_S = 1.0, 10.0
PROGRAMS = {"adapter": ["-m", "adapter"], "bare": ["tests/bench/poll_baseline.py"]}
KNOWN_RATIO, UNCHANGED_RATIO, NEW_RATIO, RATE, IDLE_MIB = 2.5, 1.3, 1.2, 0.85, 40  # targets


class Upstream(threading.Thread):
    """Lists ``ITEMS`` items. ``mode``: ``known`` (always the same), ``unchanged`` (with an ETag) or ``new`` ones."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mode = "known"
        self.polls: list[float] = []  # monotonic times
        self.port = 0
        self._ready = threading.Event()
        self.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/items"

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.polls.append(time.monotonic())
                writer.write(self._answer(head.lower()))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        if self.mode == "unchanged" and b"if-none-match" in head:
            return b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
        first = len(self.polls) * ITEMS if self.mode == "new" else 0
        items = [{"id": f"item-{n}", "name": f"number {n}", "size": n} for n in range(first, first + ITEMS)]
        body = json.dumps(items).encode()
        tag = 'ETag: "1"\r\n' if self.mode == "unchanged" else ""
        head_text = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{tag}Content-Length: {len(body)}\r\n\r\n"
        return head_text.encode() + body

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.polls) >= count, f"{count} polls", lambda: len(self.polls))


@contextmanager
def program(name: str, upstream: Upstream, sink: str, mode: str, interval_ms: int = 1) -> Iterator[int]:
    upstream.mode, upstream.polls = mode, []
    config = {"url": upstream.url, "start": "earliest" if mode == "new" else "now"}
    own = {
        "K_SINK": sink, "EVENT_SOURCE": "/a/b",
        "HEALTH_PORT": str(free_port()), "SOURCE_KIND": "PollSource", "INTERVAL": f"{interval_ms}ms",
        "SOURCE_CONFIG": json.dumps(config), "UPSTREAM": upstream.url, "INTERVAL_S": str(interval_ms / 1000),
    }  # fmt: skip
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **own}
    process = subprocess.Popen([sys.executable, *PROGRAMS[name]], cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {min(CORES)})
        yield process.pid
    finally:
        process.kill()
        process.wait()


def cpu_us_a_poll(name: str, upstream: Upstream, sink: str, mode: str) -> float:
    with program(name, upstream, sink, mode) as pid:
        upstream.wait_for(POLLS // 10)
        polls, used_s = len(upstream.polls), cpu_s(pid)
        upstream.wait_for(polls + POLLS)
        return (cpu_s(pid) - used_s) / (len(upstream.polls) - polls) * 1e6


def new_items(name: str, upstream: Upstream, sink: str) -> dict[str, float]:
    """All items of a poll are delivered, one after the other, before the next poll."""
    with program(name, upstream, sink, "new") as pid:
        upstream.wait_for(2)
        polls, used_s = len(upstream.polls), cpu_s(pid)
        upstream.wait_for(polls + NEW_POLLS)
        items = (len(upstream.polls) - polls) * ITEMS
        cpu_us = (cpu_s(pid) - used_s) / items * 1e6
        return {"new_us": cpu_us, "new_per_s": items / (upstream.polls[-1] - upstream.polls[polls - 1])}


def idle(name: str, upstream: Upstream, sink: str) -> dict[str, float]:
    with program(name, upstream, sink, "known", interval_ms=3_600_000) as pid:
        upstream.wait_for(1)
        time.sleep(SETTLE_S)
        switches = switches_of(pid)
        time.sleep(IDLE_S)
        woken = switches_of(pid) - switches
        return {"idle_mib": memory_mib(pid, "idle")["RSS idle, MiB"], "woken": woken}


def measured(name: str, upstream: Upstream, sink: str) -> dict[str, float]:
    return {
        "known_us": cpu_us_a_poll(name, upstream, sink, "known"),
        "unchanged_us": cpu_us_a_poll(name, upstream, sink, "unchanged"),
        **new_items(name, upstream, sink),
    }


def report(what: str, rounds: list[dict[str, dict[str, float]]], key: str, unit: str, aim: float, sign: int) -> None:
    """``sign``: 1 if ``aim`` is the maximum of the ratio, -1 if it is the minimum."""
    values = {name: [figures[name][key] for figures in rounds] for name in PROGRAMS}
    ratios = [ours / bare for ours, bare in zip(values["adapter"], values["bare"], strict=True)]
    medians = "  ".join(f"{name} {statistics.median(runs):.0f} {unit}" for name, runs in values.items())
    ratio = statistics.median(ratios)
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{what:<28} {medians}  {ratio:.2f} x bare {spread}  aim {aim}: {verdict(sign * ratio <= sign * aim)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {ITEMS} items per response"
    )
    os.sched_setaffinity(0, {max(CORES)})
    upstream = Upstream()
    with nginx() as sink:
        rounds = [{name: measured(name, upstream, sink) for name in PROGRAMS} for _ in range(options.rounds)]
        rests = {name: [idle(name, upstream, sink) for _ in range(3)] for name in PROGRAMS}
    report("no new items", rounds, "known_us", "us CPU a poll", KNOWN_RATIO, 1)
    report("not changed (304)", rounds, "unchanged_us", "us CPU a poll", UNCHANGED_RATIO, 1)
    report("all items new", rounds, "new_us", "us CPU an item", NEW_RATIO, 1)
    report("all items new", rounds, "new_per_s", "items/s", RATE, -1)
    ours, bare = (statistics.median(figures["idle_mib"] for figures in rests[name]) for name in PROGRAMS)
    print(f"idle: {ours:.1f} MiB, bare {bare:.1f} MiB (aim {IDLE_MIB}): {verdict(ours <= IDLE_MIB)}")
    woken = [figures["woken"] for figures in rests["adapter"]]
    counts = ", ".join(f"{count:.0f}" for count in woken)
    looks = IDLE_S / LOOK_AGAIN_S
    print(f"wake-ups in {IDLE_S:.0f} idle s: {counts} (aim {looks:.0f}): {verdict(max(woken) <= looks)}")


if __name__ == "__main__":
    main()
