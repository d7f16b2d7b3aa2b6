"""PollSource beside a bare httpx2 loop, in turn, in one run: CPU per poll, items a second, memory, wake-ups.

Each runs on one core; the upstream (this process) and nginx as the sink on the other. Both poll again at once, but for
the idle figures: those are read a second after the only poll, and ten seconds later. Prints figures and ratios.
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

from tests.bench.bench_adapter import cpu_s, memory_mib, switches_of, verdict
from tests.bench.bench_delivery import nginx
from tests.process.harness import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
CORES = os.sched_getaffinity(0)
ROUNDS, POLLS, NEW_POLLS, ITEMS = 7, 600, 20, 100
SETTLE_S, IDLE_S = 1.0, 10.0
PROGRAMS = {"adapter": ["-m", "adapter"], "bare": ["tests/bench/poll_baseline.py"]}
KNOWN_RATIO, UNCHANGED_RATIO, NEW_RATIO, RATE, IDLE_MIB = 2.5, 1.3, 1.2, 0.85, 40  # what we aim at


class Upstream(threading.Thread):
    """Lists ``ITEMS`` items: ``known`` ones, the same with an ETag (``unchanged``), or ``new`` ones each time."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mode = "known"
        self.polls: list[float] = []  # when they came, by the monotonic clock
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
        "K_SINK": sink, "HEALTH_PORT": str(free_port()), "SOURCE_KIND": "PollSource", "INTERVAL": f"{interval_ms}ms",
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
    """From one poll to the next all that the first brought is delivered, one after the other."""
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
    """``sign``: 1 if the ratio should be at most ``aim``, -1 if at least."""
    values = {name: [it[name][key] for it in rounds] for name in PROGRAMS}
    ratios = [ours / bare for ours, bare in zip(values["adapter"], values["bare"], strict=True)]
    medians = "  ".join(f"{name} {statistics.median(it):.0f} {unit}" for name, it in values.items())
    ratio = statistics.median(ratios)
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{what:<28} {medians}  {ratio:.2f} x bare {spread}  aim {aim}: {verdict(sign * ratio <= sign * aim)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {ITEMS} items an answer")
    os.sched_setaffinity(0, {max(CORES)})
    upstream = Upstream()
    with nginx() as sink:
        rounds = [{name: measured(name, upstream, sink) for name in PROGRAMS} for _ in range(options.rounds)]
        rests = {name: [idle(name, upstream, sink) for _ in range(3)] for name in PROGRAMS}
    report("none is new", rounds, "known_us", "us CPU a poll", KNOWN_RATIO, 1)
    report("not changed (304)", rounds, "unchanged_us", "us CPU a poll", UNCHANGED_RATIO, 1)
    report("all are new", rounds, "new_us", "us CPU an item", NEW_RATIO, 1)
    report("all are new", rounds, "new_per_s", "items/s", RATE, -1)
    ours, bare = (statistics.median(it["idle_mib"] for it in rests[name]) for name in PROGRAMS)
    print(f"idle: {ours:.1f} MiB, bare {bare:.1f} MiB (aim {IDLE_MIB}): {verdict(ours <= IDLE_MIB)}")
    woken = [it["woken"] for it in rests["adapter"]]
    print(
        f"wake-ups in {IDLE_S:.0f} idle s: {', '.join(f'{it:.0f}' for it in woken)} (aim 0): {verdict(not any(woken))}"
    )


if __name__ == "__main__":
    main()
