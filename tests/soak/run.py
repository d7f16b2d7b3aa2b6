"""Runs hook, adapter and pool with a sink on this machine, under load, and samples what they use."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from sources_cli.local.process import free_port
from tests.process.harness import Start, listens, processes, wait_until
from tests.soak.analysis import CYCLE_S
from tests.soak.client import Client
from tests.soak.pooled import Pooled
from tests.soak.sampler import Sample, sample
from tests.soak.settings import ConfigMaps, Tokens
from tests.soak.sink import Mode, Sink
from tests.soak.syncs import Syncs

ROOT = Path(__file__).resolve().parents[2]
PHASE_S = 2.0
# One after the other; together they take CYCLE_S.
PHASES = [Mode.ACCEPTS, Mode.ACCEPTS, Mode.FAILS, Mode.ACCEPTS, Mode.AWAY, Mode.ACCEPTS, Mode.SILENT, Mode.ACCEPTS]
PHASES += [Mode.CLOSES, Mode.RESETS]
SETTLE_S = 5.0  # between the load and the idle period
FIRST_SYNCS = 6000  # more than the largest cache of the hook has entries
DELIVERY = json.dumps({"timeout": "PT1S", "backoffPolicy": "linear", "backoffDelay": "PT0.02S"})


@dataclass(frozen=True)
class Plan:
    """Seconds. Samples of the warm-up are kept, but not judged."""

    warm_up_s: float
    load_s: float
    idle_s: float


@dataclass
class Result:
    """``samples``: of each program under load. ``idle``: its CPU share at the end. ``done``: counts of the load."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)

    @property
    def per_min(self) -> dict[str, float]:
        seconds = next(iter(self.samples.values()))[-1].at_s
        return {name: count / seconds * 60 for name, count in self.done.items()}


class Programs:
    """The processes by name, and the ports of their health pages."""

    def __init__(self, sink: str, tokens: Tokens, maps: ConfigMaps, start: Start) -> None:
        self.port = {"hook": free_port(), "pool": free_port()}
        self.health = {name: free_port() for name in ("hook", "adapter", "pool")}
        own = {name: {"HEALTH_PORT": str(port), "PYTHONPATH": str(ROOT)} for name, port in self.health.items()}
        own["hook"] |= {"ADAPTER_IMAGE": "adapter:1", "HOST": "127.0.0.1", "PORT": str(self.port["hook"])}
        own["hook"] |= {"AUTH_TOKEN_FILE": str(tokens.file), "CONFIG_DIR": str(maps.directory)}
        own["adapter"] |= {
            "K_SINK": f"{sink}adapter",
            "SOURCE_DELIVERY": DELIVERY,
            "EVENT_SOURCE": "/soak",
            "INTERVAL": "5ms",
        }
        own["pool"] |= {"POOL_PORT": str(self.port["pool"]), "POOL_TOKEN_FILE": str(tokens.file)}
        own["pool"] |= {"SOURCES_PACKAGE": "tests.soak.kinds"}
        modules = {"hook": "hooks", "adapter": "adapter", "pool": "adapter.pool"}
        self.running = {name: start(module, **own[name]) for name, module in modules.items()}

    async def wait(self) -> None:
        for port in (*self.port.values(), *self.health.values()):
            await asyncio.to_thread(wait_until, partial(listens, port), f"port {port}")

    def check(self) -> None:
        """``AssertionError`` if a program has ended, or wrote a line that is not JSON."""
        for name, process in self.running.items():
            lines = [line for line in list(process.errors) if not line.startswith("{")]
            if lines or process.child.poll() is not None:
                raise AssertionError(f"{name}: exit code {process.child.poll()}; {lines or process.errors[-3:]}")

    def samples(self, at_s: float) -> Iterator[tuple[str, Sample]]:
        self.check()
        for name, process in self.running.items():
            yield name, sample(process.child.pid, at_s)


async def soak(plan: Plan) -> Result:
    """``AssertionError`` if a program ends, or answers what it should not."""
    sink, result = Sink(), Result()
    await sink.start()
    with processes() as start, tempfile.TemporaryDirectory() as directory:
        tokens, maps = Tokens(Path(directory, "tokens")), ConfigMaps(Path(directory, "config"))
        tokens.write()
        maps.change()
        programs = Programs(sink.url, tokens, maps, start)
        await programs.wait()
        await _soak(plan, programs, sink, tokens, maps, result)
        for name, process in programs.running.items():
            if (code := (await asyncio.to_thread(process.stop)).code) != 0:
                raise AssertionError(f"{name} ended with {code} after SIGTERM: {process.errors[-3:]}")
    return result


async def _soak(plan: Plan, programs: Programs, sink: Sink, tokens: Tokens, maps: ConfigMaps, result: Result) -> None:
    syncs = [Syncs(programs.port["hook"], lambda: tokens.current, seed) for seed in (1, 2)]
    pooled = Pooled(programs.port["pool"], f"{sink.url}pool/", lambda: tokens.current, DELIVERY, seed=3)
    await pooled.fill()
    await syncs[0].send(FIRST_SYNCS)
    loads = [*(each.run(per_s=50) for each in syncs), pooled.run(per_s=10), _scrape(programs)]
    loads += [_sink(sink), _change(tokens, maps), _watch(programs, result)]

    def done() -> dict[str, int]:
        requests = sum(each.answered for each in syncs) - FIRST_SYNCS
        events = {f"events of the {name}": sink.accepted[name] for name in ("adapter", "pool")}
        return {"requests to the hook": requests, "questions to the pool": pooled.answered, **events}

    async with _together(loads):
        await asyncio.sleep(plan.warm_up_s + plan.load_s - CYCLE_S)
        before = done()
        await asyncio.sleep(CYCLE_S)
        result.done = done()
    if stuck := [name for name, count in before.items() if result.done[name] == count]:
        raise AssertionError(f"nothing new within the last {CYCLE_S:.0f} s: {', '.join(stuck)}")
    await sink.set(Mode.BUSY)
    await pooled.rest()
    await asyncio.sleep(SETTLE_S)
    used = {name: each.cpu_s for name, each in programs.samples(0.0)}
    await asyncio.sleep(plan.idle_s)
    result.idle = {name: (each.cpu_s - used[name]) / plan.idle_s for name, each in programs.samples(0.0)}


@asynccontextmanager
async def _together(loads: list[Any]) -> AsyncIterator[None]:
    """Run the loads beside the body. If one raises, the body ends with its exception."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(load) for load in loads]
            yield
            for task in tasks:
                task.cancel()
    except* AssertionError as errors:
        raise errors.exceptions[0] from None


async def _sink(sink: Sink) -> None:
    for mode in cycle(PHASES):
        await sink.set(mode)
        await asyncio.sleep(PHASE_S)


async def _change(tokens: Tokens, maps: ConfigMaps) -> None:
    while True:
        await asyncio.sleep(PHASE_S)
        tokens.rotate()
        maps.change()
        await asyncio.sleep(PHASE_S)  # both tokens are valid
        tokens.write()


async def _scrape(programs: Programs) -> None:
    clients = [Client(port) for port in programs.health.values()]
    while True:
        for client in clients:
            await client.request("GET", "/healthz")
            status, _ = await client.request("GET", "/metrics")
            if status != 200:
                raise AssertionError(f"/metrics answered {status}")
        await asyncio.sleep(1)


async def _watch(programs: Programs, result: Result) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        for name, taken in programs.samples(loop.time() - began):
            result.samples.setdefault(name, []).append(taken)
        await asyncio.sleep(PHASE_S)
