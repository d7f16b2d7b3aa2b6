"""Measure a pool: one process with many timers and a sink on this machine. Prints figures.

``--sources N``, ``--interval 10s``, ``--seconds S``: N timers for S seconds: memory, CPU, lateness, lost ticks. Then:
an edit until its first event, a delete until the last event, kill -9 until all sources have sent again, and the
lateness of the others while one source raises or has a sink that is down. Lateness is the arrival minus the time of the
tick.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from adapter.contract.durations import parse_duration  # noqa: E402 -- after sys.path is set
from adapter.contract.formats import format_time  # noqa: E402 -- after sys.path is set
from adapter.model.schedule import Schedule  # noqa: E402 -- after sys.path is set
from sources_cli.local.process import free_port  # noqa: E402 -- after sys.path is set

BATCH = 500
KINDS = {
    "__init__.py": "",
    "sample_source.py": "from adapter.sources.sample_source import SampleSource\n",
    "failing_source.py": "from adapter.sdk import Timer\n\n\nclass FailingSource(Timer):\n"
    '    """Fails."""\n\n    def tick(self, n):\n        raise RuntimeError("boom")\n',
}


class Sink(asyncio.Protocol):
    """Accepts every event and notes when it arrived. One object for each connection."""

    arrivals: list[tuple[float, str, int]] = []  # Unix time, uid, tick in milliseconds; of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        now, self._buffer = time.time(), self._buffer + data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            uid, _, ms = head.partition(b"ce-id: ")[2].split(b"\r\n")[0].decode().rpartition("-")
            self.arrivals.append((now, uid, int(ms)))
            self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


class Pool:
    """The process, and its API."""

    def __init__(self, package: Path) -> None:
        self.port, self._health = free_port(), free_port()
        env = {
            **os.environ,
            "POOL_PORT": str(self.port),
            "HEALTH_PORT": str(self._health),
            "SOURCES_PACKAGE": package.name,
        }
        env["PYTHONPATH"] = f"{ROOT}:{package.parent}"
        words = [sys.executable, "-m", "adapter.pool"]
        self.child = subprocess.Popen(words, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)

    async def post(self, path: str, value: object) -> dict[str, object]:
        body = json.dumps(value).encode()
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                break
            except OSError:
                await asyncio.sleep(0.01)
        head = f"POST {path} HTTP/1.1\r\nHost: pool\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
        found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    async def fill(self, sources: dict[str, dict[str, str]]) -> None:
        uids = list(sources)
        for first in range(0, len(uids), BATCH):
            part = {uid: sources[uid] for uid in uids[first : first + BATCH]}
            answer = await self.post("/run", {"sources": part, "absentOnly": True})
            assert set(answer["sources"].values()) == {""}, answer  # type: ignore[attr-defined]  # JSON
        await self.post("/keep", {"uids": uids, "filled": True})

    def cpu_s(self) -> float:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in self._tasks()) / 1e9

    def mib(self, field: str) -> float:
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    def _tasks(self) -> Iterator[Path]:
        return Path(f"/proc/{self.child.pid}/task").iterdir()


def environ(n: int, sink: str, interval: str, **more: str) -> dict[str, str]:
    names = {"NAMESPACE": "bench", "NAME": f"s{n}", "SOURCE_UID": uid_of(n), "EVENT_SOURCE": f"/apis/x/bench/s{n}"}
    return {
        **names,
        "SOURCE_KIND": "SampleSource",
        "SOURCE_CREATED": CREATED,
        "INTERVAL": interval,
        "K_SINK": sink,
        **more,
    }


def uid_of(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


CREATED = format_time(datetime.now(UTC) - timedelta(days=1))


def lateness_ms(arrivals: list[tuple[float, str, int]]) -> tuple[float, float]:
    """p50 and p99."""
    late = sorted(at * 1000 - ms for at, _, ms in arrivals)
    return (statistics.median(late), late[int(len(late) * 0.99)]) if late else (0.0, 0.0)


def lost(arrivals: list[tuple[float, str, int]], sources: int, interval_ns: int, since: float, until: float) -> int:
    """Ticks that were due in this time and have not arrived."""
    seen = {(uid, ms) for _, uid, ms in arrivals}
    missing = 0
    for uid in map(uid_of, range(sources)):
        schedule = Schedule.of(uid, datetime.fromisoformat(CREATED), interval_ns)
        n = schedule.next_at(datetime.fromtimestamp(since, UTC))
        while (due := schedule.due_ns(n)) < until * 1e9:
            missing += (uid, due // 1_000_000) not in seen
            n += 1
    return missing


async def measure(pool: Pool, seconds: float) -> list[tuple[float, str, int]]:
    Sink.arrivals.clear()
    await asyncio.sleep(seconds)
    return list(Sink.arrivals)


async def until_all(uids: set[str], limit_s: float = 60) -> float:
    """Seconds until each source has sent."""
    began, seen, n = time.monotonic(), set[str](), 0
    while time.monotonic() - began < limit_s:
        seen |= {uid for _, uid, _ in Sink.arrivals[n:]}
        n = len(Sink.arrivals)
        if seen >= uids:
            return time.monotonic() - began
        await asyncio.sleep(0.01)
    return float("inf")


async def bench(options: argparse.Namespace, package: Path) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=4096)
    sink = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    count, interval, interval_ns = options.sources, options.interval, parse_duration(options.interval)
    sources = {uid_of(n): environ(n, sink, interval) for n in range(count)}
    pool = Pool(package)
    began = time.monotonic()
    await pool.post("/keep", {"uids": [], "filled": False})
    print(f"start {time.monotonic() - began:.2f} s, RSS empty {pool.mib('VmRSS'):.1f} MiB")
    began = time.monotonic()
    await pool.fill(sources)
    filled_s, all_s = time.monotonic() - began, await until_all(set(sources))
    print(f"filled with {count} in {filled_s:.2f} s; all have sent {all_s:.2f} s later")
    await asyncio.sleep(2)
    since, used_s = time.time(), pool.cpu_s()
    arrivals = await measure(pool, options.seconds)
    until, used_s = time.time(), pool.cpu_s() - used_s
    p50, p99 = lateness_ms(arrivals)
    missing = lost(arrivals, count, interval_ns, since + 0.5, until - 1.0)
    rate, cores = len(arrivals) / (until - since), used_s / (until - since)
    print(f"{rate:.0f} events/s for {until - since:.0f} s: CPU {cores:.3f} core,")
    print(f"  RSS {pool.mib('VmRSS'):.1f} MiB, peak {pool.mib('VmHWM'):.1f} MiB, load {os.getloadavg()[0]:.1f}")
    print(f"  lateness p50 {p50:.1f} ms, p99 {p99:.1f} ms, lost {missing}")
    await edits(pool, sources, sink)
    await isolation(pool, sources, sink, options)
    pool = await kill(pool, sources, package)
    pool.child.send_signal(signal.SIGTERM)
    began = time.monotonic()
    code = await asyncio.to_thread(pool.child.wait)
    print(f"SIGTERM: exit code {code} after {time.monotonic() - began:.2f} s")
    server.close()


async def edits(pool: Pool, sources: dict[str, dict[str, str]], sink: str) -> None:
    uid = uid_of(0)
    began = time.time()
    await pool.post("/run", {"sources": {uid: environ(0, sink, "100ms")}, "absentOnly": False})
    while not any(at > began and each == uid for at, each, _ in Sink.arrivals[-2000:]):  # noqa: ASYNC110 -- no event
        await asyncio.sleep(0.005)
    print(f"edit (interval 100ms) until its first event: {time.time() - began:.3f} s")
    began = time.time()
    await pool.post("/run", {"sources": {uid: None}, "absentOnly": False})
    await asyncio.sleep(2)
    last = max((at for at, each, _ in Sink.arrivals if each == uid), default=began)
    print(f"delete until its last event: {max(0.0, last - began):.3f} s")
    await pool.post("/run", {"sources": {uid: sources[uid]}, "absentOnly": False})


async def isolation(pool: Pool, sources: dict[str, dict[str, str]], sink: str, options: argparse.Namespace) -> None:
    uid, dead = uid_of(1), f"http://127.0.0.1:{free_port()}/"
    cases = {
        "without": sources[uid],
        "one source raises": environ(1, sink, "1s", SOURCE_KIND="FailingSource"),
        "the sink of one source is down": environ(1, dead, "1s"),
    }
    for _ in range(options.rounds):
        for name, changed in cases.items():
            await pool.post("/run", {"sources": {uid: changed}, "absentOnly": False})
            await asyncio.sleep(0.5)
            arrivals = await measure(pool, options.part)
            p50, p99 = lateness_ms([each for each in arrivals if each[1] != uid])
            print(f"lateness of the others, {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    await pool.post("/run", {"sources": {uid: sources[uid]}, "absentOnly": False})


async def kill(pool: Pool, sources: dict[str, dict[str, str]], package: Path) -> Pool:
    Sink.arrivals.clear()
    await asyncio.sleep(1)
    pool.child.kill()
    pool.child.wait()
    await asyncio.sleep(0.05)
    before, began = Counter(each[1:] for each in Sink.arrivals), time.monotonic()
    Sink.arrivals.clear()
    restarted = Pool(package)
    filling = asyncio.create_task(restarted.fill(sources))
    await until_all(set(sources))
    took_s = time.monotonic() - began
    await filling
    repeated = sum(1 for each in Sink.arrivals if before[each[1:]])
    peak = restarted.mib("VmHWM")
    print(f"kill -9: all have sent again after {took_s:.2f} s, peak {peak:.1f} MiB; {repeated} equal ids")
    return restarted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--interval", default="10s")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--part", type=float, default=10.0, help="seconds of each measurement of isolation")
    parser.add_argument("--rounds", type=int, default=2, help="of the measurements of isolation")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory, "bench_kinds")
        package.mkdir()
        for name, text in KINDS.items():
            (package / name).write_text(text)
        asyncio.run(bench(options, package))


if __name__ == "__main__":
    main()
