"""Lookups of names: their time limit, their threads, and what they must not block."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from adapter.observe.lookups import Answer, Lookups, Loop
from tests.deadline import DEADLINE_S

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))


class Resolver:
    """A ``getaddrinfo`` that answers when ``release`` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, *_: Any) -> Answer:
        self.asked.append(host)
        self.release.wait()
        if host == "unknown":
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [ADDRESS]


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.release.set()


def run(test: Callable[[Loop], Awaitable[Any]], lookups: Lookups) -> Any:
    async def limited() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        async with asyncio.timeout(30):
            return await test(loop)

    with asyncio.Runner(loop_factory=lambda: Loop(lookups=lookups)) as runner:
        return runner.run(limited())


def test_answer_and_error_are_those_of_getaddrinfo(resolver: Resolver) -> None:
    async def test(loop: Loop) -> Answer:
        with pytest.raises(socket.gaierror, match="not known"):
            await loop.getaddrinfo("unknown", 80)
        return await loop.getaddrinfo("known", 80, type=socket.SOCK_STREAM)

    resolver.release.set()
    assert run(test, Lookups(getaddrinfo=resolver)) == [ADDRESS]


def test_lookup_without_an_answer_fails_in_time_and_says_why(resolver: Resolver) -> None:
    async def test(loop: Loop) -> None:
        with pytest.raises(socket.gaierror, match=r"no answer from DNS within 0\.05 s"):
            await loop.getaddrinfo("a", 80)

    run(test, Lookups(0.05, getaddrinfo=resolver))


def test_lookups_of_one_name_share_a_thread(resolver: Resolver) -> None:
    async def test(loop: Loop) -> list[Answer]:
        both = [asyncio.create_task(loop.getaddrinfo("a", 80)) for _ in range(2)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):  # as an attempt with a shorter limit does
                await loop.getaddrinfo("a", 80)
        resolver.release.set()
        return list(await asyncio.gather(*both))

    assert run(test, Lookups(getaddrinfo=resolver)) == [[ADDRESS]] * 2
    assert resolver.asked == ["a"]


def test_lookup_after_the_limit_asks_again(resolver: Resolver) -> None:
    """The server may answer by now; the first thread may still wait for another server."""

    async def test(loop: Loop) -> None:
        for _ in range(2):
            with pytest.raises(socket.gaierror):
                await loop.getaddrinfo("a", 80)

    run(test, Lookups(0.02, getaddrinfo=resolver))
    assert resolver.asked == ["a", "a"]


def test_number_of_threads_is_limited(resolver: Resolver) -> None:
    async def test(loop: Loop) -> None:
        for n in range(5):
            with pytest.raises(socket.gaierror, match="no answer" if n < 3 else "too many lookups"):
                await loop.getaddrinfo(f"name-{n}", 80)
        resolver.release.set()
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    assert await loop.getaddrinfo("name-6", 80) == [ADDRESS]
                    return
                except socket.gaierror:  # the first ones have not ended yet
                    await asyncio.sleep(0)

    run(test, Lookups(0.02, 3, getaddrinfo=resolver))
    assert resolver.asked == ["name-0", "name-1", "name-2", "name-6"]


def test_lookups_without_an_answer_do_not_block_to_thread(resolver: Resolver) -> None:
    """asyncio's own lookups would take all threads of its executor: at most 32, and 5 with one CPU."""

    async def test(loop: Loop) -> str:
        hung = [asyncio.create_task(loop.getaddrinfo(f"name-{n}", 80)) for n in range(40)]
        await asyncio.sleep(0)
        done = await asyncio.to_thread(lambda: "done")
        for each in hung:
            each.cancel()
        return done

    assert run(test, Lookups(getaddrinfo=resolver, threads=40)) == "done"
