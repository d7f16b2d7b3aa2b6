"""Looks up host names in threads of its own, with a time limit, so that a silent DNS server stops nothing else.

asyncio looks names up in its default executor. Its few threads are shared with ``asyncio.to_thread``, so a few lookups
without an answer would block the code of authors. And the process would wait for them at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

LIMIT_S = 8.0  # the C library asks a silent server for 5 s, and then the next one; an attempt has 10 s
THREADS = 32  # in all

Answer = list[tuple[Any, ...]]


class Lookups:
    """Replaces ``getaddrinfo`` of an event loop.

    A lookup beyond ``limit_s`` or beyond ``threads`` fails with ``socket.gaierror``. Its thread goes on until the C
    library gives up. Lookups of one name that begin within ``limit_s`` share a thread.
    """

    def __init__(
        self,
        limit_s: float = LIMIT_S,
        threads: int = THREADS,
        getaddrinfo: Callable[..., Answer] = socket.getaddrinfo,
    ) -> None:
        self._limit_s, self._threads, self._getaddrinfo = limit_s, threads, getaddrinfo
        self._latest: dict[tuple[Any, ...], tuple[float, asyncio.Future[Answer]]] = {}  # with the time of the start
        self._running: set[asyncio.Future[Answer]] = set()

    async def find(self, *arguments: Any) -> Answer:
        """The result of ``socket.getaddrinfo(*arguments)``."""
        now = asyncio.get_running_loop().time()
        since, found = self._latest.get(arguments, (0.0, None))
        if found is None or now - since >= self._limit_s:
            if len(self._running) >= self._threads:
                raise socket.gaierror(socket.EAI_AGAIN, "DNS does not answer, and too many lookups wait for it")
            found = self._start(arguments)
            self._latest[arguments] = now, found
        done, _ = await asyncio.wait({found}, timeout=self._limit_s)
        if not done:
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer from DNS within {self._limit_s:g} s")
        return found.result()

    def _start(self, arguments: tuple[Any, ...]) -> asyncio.Future[Answer]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Answer] = loop.create_future()
        self._running.add(found)

        def finish(answer: Answer, error: Exception | None) -> None:
            self._running.discard(found)
            if self._latest[arguments][1] is found:
                del self._latest[arguments]
            if error:
                found.set_exception(error)
                found.exception()  # else asyncio would log it if nobody waits any more
            else:
                found.set_result(answer)

        def look_up() -> None:
            answer, error = Answer(), None
            try:
                answer = self._getaddrinfo(*arguments)
            except Exception as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, answer, error)

        threading.Thread(target=look_up, daemon=True).start()  # a daemon: the process does not wait for it
        return found


class Loop(asyncio.SelectorEventLoop):
    """The event loop of an adapter."""

    def __init__(self, selector: selectors.BaseSelector | None = None, lookups: Lookups | None = None) -> None:
        super().__init__(selector)
        self._lookups = lookups or Lookups()

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Answer:
        return await self._lookups.find(host, port, family, type, proto, flags)
