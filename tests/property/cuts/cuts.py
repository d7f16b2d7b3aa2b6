"""Ways to cut a run short, drawn at random."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.property.cuts.world import Process, World

GAP_S = (5.0, 9.0)  # time between two cuts: long enough to send what an outage has held up
OUTAGE_S = 8.0
STEPS = 60  # a kill comes at most so many steps of the loop later: between any two awaits
AFTER_S = 30.0  # after the last item
READY_S = 0.5  # how often a new process is asked whether it is ready
Cut = Callable[[World, Process], Awaitable[Process]]


async def run_for(world: World, process: Process, seconds: float) -> None:
    await asyncio.wait([process.task], timeout=seconds)
    process.ended()


async def kill(world: World, process: Process) -> Process:
    """kill -9 at any await. The container starts again at once or later."""
    await killed(world, process)
    await asyncio.sleep(world.random.choice([0, 0.1, OUTAGE_S]))
    return world.start()


async def killed(world: World, process: Process) -> None:
    left, done = world.random.randrange(STEPS), asyncio.Event()

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            process.kill()
            done.set()

    world.loop.on_step(count)
    if left:
        await asyncio.wait([asyncio.ensure_future(done.wait())], timeout=OUTAGE_S)  # an idle process makes few steps
    process.kill()
    world.loop.on_step(lambda: None)


async def stop(world: World, process: Process) -> Process:
    await process.stop()
    await asyncio.sleep(world.random.choice([0, OUTAGE_S]))
    return world.start()


async def edit(world: World, process: Process) -> Process:
    """A rolling update after an edit of fields that keep the checkpoint."""
    following = start_edited(world)
    while following.runtime.unready_reason:
        await run_for(world, following, READY_S)
    await process.stop()
    return following


def start_edited(world: World) -> Process:
    for name, values in world.editable.items():
        world.fields[name] = world.random.choice(values)
    return world.start(len(world.processes))


async def lose_record(world: World, process: Process) -> Process:
    """A rolling update to another store, or after the store has lost the record."""
    world.lose_records()
    return await edit(world, process)


async def overlap(world: World, process: Process) -> Process:
    """Two replicas run for a while, perhaps with different fields. One of them is killed, or both at once."""
    following = start_edited(world)
    await asyncio.sleep(world.random.uniform(0, OUTAGE_S))
    one, other = world.random.sample([process, following], 2)
    await killed(world, one)
    if world.random.random() < 0.5:
        return other
    other.kill()
    return world.start()


async def store_down(world: World, process: Process) -> Process:
    world.store_is_down = True
    await run_for(world, process, world.random.uniform(0, OUTAGE_S))
    if world.random.random() < 0.5:
        await killed(world, process)
        process = world.start()
        await run_for(world, process, 1.0)
    world.store_is_down = False
    return process


async def sink_down(world: World, process: Process) -> Process:
    world.sink_is_down = True
    await run_for(world, process, world.random.uniform(0, OUTAGE_S))
    if world.random.random() < 0.5:
        process = await world.random.choice([kill, stop])(world, process)
    world.sink_is_down = False
    return process


async def sink_rejects(world: World, process: Process) -> Process:
    world.sink_rejects = True
    await run_for(world, process, world.random.uniform(0, OUTAGE_S))
    if world.random.random() < 0.5:
        process = await kill(world, process)
    world.sink_rejects = False
    return process


KEEPING_THE_POD: list[Cut] = [kill, kill, stop, store_down, sink_down, sink_rejects]
ALL: list[Cut] = [*KEEPING_THE_POD, edit, overlap]


async def run_with_cuts(world: World, cuts: list[Cut], count: int) -> None:
    """Cut the run ``count`` times, and check the laws. The guarantee begins with the first save."""
    process = world.start()
    while not world.saves:
        await run_for(world, process, 0.1)
    for _ in range(count):
        await run_for(world, process, world.random.uniform(*GAP_S))
        process = await world.random.choice(cuts)(world, process)
        world.check()
    end_s = max(item.visible_s for item in world.upstream.items)
    await run_for(world, process, max(0.0, end_s - asyncio.get_running_loop().time()) + AFTER_S)
    await process.stop()
    world.check()
    for each in world.processes:
        world.check_order(each)
    world.check_all_answered()
