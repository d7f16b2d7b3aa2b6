"""One list of all sources, given to the process of a pool; and what this process lacks, if it has just begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from adapter.contract.formats import Json
from hooks.names import get_in
from hooks.pool.client import NoAnswer, Pools, Room
from hooks.pool.listing import RELATED, Body, owner
from hooks.pool.own import Answer
from hooks.pool.question import Question

PAUSE_EVERY = 100  # objects; other requests are handled between them
Refill = Callable[[Json], Question | None]  # a source -> what a new process must run


@dataclass(frozen=True)
class Place:
    """Where a source is in the body. ``owner``: the pool that runs it; empty for a new source."""

    start: int
    owner: str


@dataclass
class Read:
    """The members of the request other than the sources, and the sources that a pool may run, by uid."""

    members: dict[str, Json] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def of_pool(self, pool: str) -> dict[str, Place]:
        return {uid: place for uid, place in self.places.items() if place.owner in ("", pool)}


async def read_list(body: Body) -> Read:
    """``NotAList`` if the body cannot be read."""
    read = Read()
    for n, (name, value, start) in enumerate(body.members()):
        if name != RELATED:
            read.members[name] = value
        elif isinstance(uid := get_in(value, "metadata", "uid"), str) and (found := owner(value)) is not None:
            read.places[uid] = Place(start, found)
        if n % PAUSE_EVERY == PAUSE_EVERY - 1:
            await asyncio.sleep(0)
    return read


async def hand_over(pools: Pools, pool: str, body: Body, places: Mapping[str, Place], refill: Refill) -> Answer:
    """Tell the pool which sources exist. All others end. What it lacks, it gets.

    Not a new source: its own sync asks the pool.
    """
    try:
        said = await pools.keep(pool, list(places), filled=False)
        missing = said.get("missing")
        known = [places[uid] for uid in (missing if isinstance(missing, list) else []) if uid in places]
        for batch in _batches(_questions((body.at(place.start) for place in known if place.owner), refill)):
            await pools.run(pool, batch, absent_only=True)
        if said.get("filled") is not True:
            said = await pools.keep(pool, list(places), filled=True)
    except NoAnswer as error:
        return Answer(silent_for=error.silent_for)
    troubled = said.get("troubled")
    texts = {str(uid): str(text) for uid, text in troubled.items()} if isinstance(troubled, dict) else {}
    return Answer(said.get("filled") is True, said.get("again") is True, texts)


def _questions(sources: Iterable[Json], refill: Refill) -> Iterator[tuple[str, Json]]:
    """A source whose sink is lost gets None: the pool then knows it, and does not ask for it again."""
    for source in sources:
        if question := refill(source):
            yield source["metadata"]["uid"], question.environ


def _batches(sources: Iterator[tuple[str, Json]]) -> Iterator[dict[str, Json]]:
    batch, room = dict[str, Json](), Room()
    for uid, environ in sources:
        if not room.takes(environ):
            yield batch
            batch, room = {}, Room()
            room.takes(environ)
        batch[uid] = environ
    if batch:
        yield batch
