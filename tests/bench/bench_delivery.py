"""Events per second on one core: the adapter compared with plain httpx2 and plain aiohttp clients, in turn.

The sink is nginx (``return 202``, keep-alive) on another core. The adapter runs its whole path: runtime, completing,
encoding, delivery and metrics. The plain clients send one prepared event repeatedly. Prints figures and ratios.
``AGAINST=DIRECTORY`` measures the adapter of another checkout, too, as ``previous``.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import logging
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, EVENTS = 7, 3000
TARGETS = {1: 2.0, 32: 3.0}  # events in flight -> ratio to httpx2; the adapter's client was httpx2 until 2026-11
CONF = """daemon off; master_process off; pid {directory}/pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
server {{ listen 127.0.0.1:{port}; location / {{ return 202; }} }} }}"""


@contextmanager
def nginx() -> Iterator[str]:
    from tests.process.harness import free_port, listens, wait_until

    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        print("skipped: the sink is nginx, which is not installed (apt-get install nginx-light)")
        sys.exit(0)
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "conf").write_text(CONF.format(directory=directory, port=port))
        sink = subprocess.Popen([program, "-c", f"{directory}/conf", "-p", directory], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(port), "nginx")
            os.sched_setaffinity(sink.pid, {max(os.sched_getaffinity(0))})
            yield f"http://127.0.0.1:{port}/"
        finally:
            sink.terminate()
            sink.wait()


async def adapter(url: str, count: int, side_by_side: int) -> None:
    from adapter.cloudevents.encode import Message, encode
    from adapter.contract.delivery_policy import Policy
    from adapter.delivery.channel import Channel, Destination
    from adapter.delivery.delivery import Delivery
    from adapter.model.clock import SystemClock
    from adapter.model.event import Event, Outcome
    from adapter.model.source import Context
    from adapter.observe.metrics import Metrics
    from adapter.runtime.deliveries import Drain
    from adapter.runtime.runtime import Runtime
    from tests.kinds.burst_source import BurstSource

    metrics, clock, log = Metrics("ns", "n", "BurstSource"), SystemClock(), logging.getLogger("bench")
    channel = Channel(Destination(url), 10, clock)
    delivery = Delivery(channel, Policy(), clock, random.Random(), metrics, log)
    source = BurstSource(count=count, maxInFlight=side_by_side)
    context = Context("/s", "uid", clock.now(), clock, log)
    encoder = functools.partial(encode, source="/s", namespace="ns", overrides={"region": "eu"})
    done = 0

    class Counted:
        """Stops the runtime after the last event."""

        unready_reason, count_invalid = delivery.unready_reason, delivery.count_invalid
        cut_short, flush = delivery.cut_short, delivery.flush

        async def deliver(self, event: Event, message: Message, **_: object) -> Outcome:
            nonlocal done
            outcome = await delivery.deliver(event, message)
            done += 1
            if done == count:
                runtime.stop()
            return outcome

    runtime = Runtime(source, context, encoder, Counted(), metrics, Drain(5))
    await runtime.run()
    await channel.aclose()


HEADERS = {
    "Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t",
    "ce-time": "2026-01-01T00:00:00Z", "ce-region": "eu", "Kn-Namespace": "ns",
}  # fmt: skip
BODY = b'{"n":1}'


async def bare_httpx2(url: str, count: int, side_by_side: int) -> None:
    import httpx2

    async with httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(keepalive_expiry=None)) as client:

        async def post() -> None:
            await client.post(url, content=BODY, headers=HEADERS)

        await _concurrently(post, count, side_by_side)


async def bare_aiohttp(url: str, count: int, side_by_side: int) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as client:

        async def post() -> None:
            async with client.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()

        await _concurrently(post, count, side_by_side)


async def _concurrently(post: Callable[[], Awaitable[None]], count: int, side_by_side: int) -> None:
    async def worker(n: int) -> None:
        for _ in range(n, count, side_by_side):
            await post()

    await asyncio.gather(*(worker(n) for n in range(side_by_side)))


PROGRAMS = {"adapter": adapter, "httpx2": bare_httpx2, "aiohttp": bare_aiohttp}
CHECKOUTS = {"adapter": ROOT} | ({"previous": Path(os.environ["AGAINST"])} if os.environ.get("AGAINST") else {})


def child(name: str, url: str, side_by_side: int) -> None:
    """One warm-up and one measured run; prints one JSON object."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asyncio.run(PROGRAMS[name](url, EVENTS // 10, side_by_side))
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(PROGRAMS[name](url, EVENTS, side_by_side))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"per_s": EVENTS / wall, "cpu_us": cpu / EVENTS * 1e6, "rss_mib": rss}))


def measured(name: str, url: str, side_by_side: int) -> dict[str, float]:
    root = CHECKOUTS.get(name, ROOT)
    program = "adapter" if name in CHECKOUTS else name
    command = [sys.executable, str(root / "tests/bench/bench_delivery.py"), "--child", program, url, str(side_by_side)]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, url, side_by_side = options.child
        return child(name, url, int(side_by_side))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {EVENTS} events a round")
    with nginx() as url:
        for side_by_side, target in TARGETS.items():
            report(side_by_side, target, options.rounds, url)


def report(side_by_side: int, target: float, count: int, url: str) -> None:
    names = dict.fromkeys((*CHECKOUTS, *PROGRAMS))
    rounds = [{name: measured(name, url, side_by_side) for name in names} for _ in range(count)]
    for name in names:
        medians = {key: statistics.median(figures[name][key] for figures in rounds) for key in rounds[0][name]}
        ratio = statistics.median(figures[name]["per_s"] / figures["httpx2"]["per_s"] for figures in rounds)
        print(
            f"{side_by_side:>3} in flight  {name:<8} {medians['per_s']:>6.0f} events/s"
            f"  {medians['cpu_us']:>5.0f} us CPU  {medians['rss_mib']:.1f} MiB  {ratio:.2f} x httpx2"
        )
    for base in ("httpx2", *(name for name in CHECKOUTS if name != "adapter")):
        ratio = statistics.median(figures["adapter"]["per_s"] / figures[base]["per_s"] for figures in rounds)
        less = statistics.median(figures[base]["cpu_us"] / figures["adapter"]["cpu_us"] for figures in rounds)
        verdict = "reached" if ratio >= target else "MISSED"
        print(f"{'':>14} adapter: {ratio:.2f} x {base}, target {target:g}: {verdict}; CPU of {base}: {less:.2f} x")


if __name__ == "__main__":
    main()
