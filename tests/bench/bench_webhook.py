"""WebhookSource compared with a plain uvicorn + httpx2 relay, in turn: requests per second, CPU per request, memory.

Each program runs on one core; nginx as the sink and 16 parallel aiohttp clients run on the other. Memory is read one
second after the start, before the first request. Prints figures and ratios. ``AGAINST=DIRECTORY`` measures the adapter
of another checkout, too, as ``previous``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

from tests.bench.bench_delivery import CHECKOUTS, nginx
from tests.process.harness import free_port, listens, wait_until

ROOT = Path(__file__).resolve().parents[2]
CORES = os.sched_getaffinity(0)
ROUNDS, REQUESTS, CALLERS = 7, 3000, 16
RATIO, IDLE_MIB = 1.5, 45  # targets
PROGRAMS = {**{name: ["-m", "adapter"] for name in CHECKOUTS}, "bare": ["tests/bench/webhook_baseline.py"]}


def measured(name: str, sink: str) -> dict[str, float]:
    port = free_port()
    own = {
        "SOURCE_KIND": "WebhookSource",
        "K_SINK": sink,
        "EVENT_SOURCE": "/a/b",
        "PORT": str(port),
        "HEALTH_PORT": str(free_port()),
    }
    root = CHECKOUTS.get(name, ROOT)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), **own}
    process = subprocess.Popen([sys.executable, *PROGRAMS[name]], cwd=root, env=environ, stderr=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {min(CORES)})
        wait_until(lambda: listens(port), name)
        time.sleep(1)
        idle_mib = rss_mib(process.pid)
        asyncio.run(call(port, REQUESTS // 10))
        cpu_s, started = cpu_of(process.pid), time.perf_counter()
        asyncio.run(call(port, REQUESTS))
        wall_s = time.perf_counter() - started
        return {
            "per_s": REQUESTS / wall_s,
            "cpu_us": (cpu_of(process.pid) - cpu_s) / REQUESTS * 1e6,
            "idle_mib": idle_mib,
        }
    finally:
        process.terminate()
        process.wait()


async def call(port: int, count: int) -> None:
    async with aiohttp.ClientSession() as client:

        async def caller(n: int) -> None:
            for number in range(n, count, CALLERS):
                headers = {"X-GitHub-Delivery": str(number), "Content-Type": "application/json"}
                async with client.post(f"http://127.0.0.1:{port}/", data=b'{"n":1}', headers=headers) as response:
                    assert response.status == 202, await response.text()

        await asyncio.gather(*(caller(n) for n in range(CALLERS)))


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {REQUESTS} requests a round"
    )
    os.sched_setaffinity(0, {max(CORES)})
    with nginx() as sink:
        rounds = [{name: measured(name, sink) for name in PROGRAMS} for _ in range(options.rounds)]
    for name in PROGRAMS:
        medians = {key: statistics.median(figures[name][key] for figures in rounds) for key in rounds[0][name]}
        print(
            f"{name:<8} {medians['per_s']:>6.0f} requests/s  {medians['cpu_us']:>5.0f} us CPU"
            f"  {medians['idle_mib']:.1f} MiB idle"
        )
    for base in PROGRAMS.keys() - {"adapter"}:
        ratio = statistics.median(figures["adapter"]["per_s"] / figures[base]["per_s"] for figures in rounds)
        print(f"requests/s: {ratio:.2f} x {base} (target {RATIO}): {'reached' if ratio >= RATIO else 'MISSED'}")
    idle_mib = statistics.median(figures["adapter"]["idle_mib"] for figures in rounds)
    print(f"idle: {idle_mib:.1f} MiB (target {IDLE_MIB}): {'reached' if idle_mib <= IDLE_MIB else 'MISSED'}")


if __name__ == "__main__":
    main()
