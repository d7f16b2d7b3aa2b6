"""Asks the process of a pool by HTTP. No answer is an answer, too: how long the pool has been silent.

One question about sources is under way for each pool. What comes meanwhile goes with the next one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from adapter.contract.formats import Json, public_url
from adapter.serving.logs import LogThrottle
from hooks.pool.question import Question
from hooks.pool.verdict import Told

if TYPE_CHECKING:
    import httpx2

RUN_S, KEEP_S = 4.0, 4.0  # Metacontroller waits 10 s for the hook
BATCH, BATCH_BYTES = 500, 6 * 1024 * 1024  # sources in one request, and their environments; the pool takes 8 MiB
Transport = Callable[[], "httpx2.AsyncBaseTransport | None"]


class NoAnswer(Exception):
    """The pool has not answered. The text is for the log. ``silent_for``: since its first such question."""

    silent_for = timedelta(0)


@dataclass
class Room:
    """What one request can still take. The first source always fits; after one that does not fit, none does."""

    sources: int = BATCH
    size: int = BATCH_BYTES

    def takes(self, environ: Json) -> bool:
        size = len(to_json(environ))
        if self.sources < BATCH and size > self.size:
            self.sources = 0
        if not self.sources:
            return False
        self.sources, self.size = self.sources - 1, self.size - size
        return True


@dataclass(frozen=True, eq=False)
class Waiting:
    """A question about one source, and where its answer goes."""

    uid: str
    question: Question
    answer: asyncio.Future[str]


@dataclass
class Line:
    """The questions about sources that wait for the one under way.

    ``silent_since``: path -> the first question without an answer since the last answer. A pool that answers to one
    path may be silent on the other one.
    """

    waiting: list[Waiting] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    silent_since: dict[str, float] = field(default_factory=dict)

    def next_batch(self) -> list[Waiting]:
        """Those that agree with the first one in ``absent_only``, at most one for each source.

        Without those whose caller has gone: another replica may have asked about a newer version since.
        """
        self.waiting = [each for each in self.waiting if not each.answer.done()]
        batch: dict[str, Waiting] = {}
        room = Room()
        for each in self.waiting:
            same = each.question.absent_only == self.waiting[0].question.absent_only
            if same and each.uid not in batch and room.takes(each.question.environ):
                batch[each.uid] = each
        self.waiting = [each for each in self.waiting if batch.get(each.uid) is not each]
        return list(batch.values())


class Pools:
    """All pools that this hook talks to. ``url``: of a pool by its name. ``token``: the present one, or empty.

    ``transport`` replaces the network in tests, ``clock`` the seconds of a monotonic clock.
    """

    def __init__(
        self,
        url: Callable[[str], str],
        token: Callable[[], str],
        throttle: LogThrottle,
        *,
        transport: Transport = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._token, self._throttle = url, token, throttle
        self._transport, self._clock = transport, clock
        self._client: httpx2.AsyncClient | None = None
        self._lines: dict[str, Line] = {}

    async def ask(self, pool: str, uid: str, question: Question) -> Told:
        """The answer about one source."""
        line = self._lines.setdefault(pool, Line())
        waiting = Waiting(uid, question, asyncio.get_running_loop().create_future())
        line.waiting.append(waiting)
        if line.task is None:
            line.task = asyncio.create_task(self._work_off(pool, line))
        try:
            return Told(await waiting.answer)
        except NoAnswer as error:
            return Told(silent_for=error.silent_for)

    async def run(self, pool: str, sources: Mapping[str, Json], *, absent_only: bool) -> dict[str, str]:
        """``sources``: uid -> environment, or None. The answer: uid -> empty, or why it does not run."""
        body = await self._post(pool, "/run", {"sources": dict(sources), "absentOnly": absent_only}, RUN_S)
        found = body.get("sources")
        texts = found if isinstance(found, dict) else {}
        return {uid: str(texts.get(uid, "the pool has not answered about this source")) for uid in sources}

    async def keep(self, pool: str, uids: list[str], *, filled: bool) -> dict[str, Any]:
        return await self._post(pool, "/keep", {"uids": uids, "filled": filled}, KEEP_S)

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    async def _work_off(self, pool: str, line: Line) -> None:
        try:
            while batch := line.next_batch():
                await self._answer(pool, batch)
        finally:
            line.task = None

    async def _answer(self, pool: str, batch: list[Waiting]) -> None:
        environs = {each.uid: each.question.environ for each in batch}
        try:
            texts = await self.run(pool, environs, absent_only=batch[0].question.absent_only)
        except NoAnswer as error:
            for each in batch:
                if not each.answer.done():  # nobody waits for a cancelled one
                    each.answer.set_exception(error)
            return
        for each in batch:
            if not each.answer.done():
                each.answer.set_result(texts[each.uid])

    async def _post(self, pool: str, path: str, value: Json, limit_s: float) -> dict[str, Any]:
        """``NoAnswer`` unless the pool answers 200 with an object within ``limit_s`` seconds."""
        line, cause = self._lines.setdefault(pool, Line()), f"pool {pool} {path}"
        try:
            async with asyncio.timeout(limit_s):
                body = await self._response(pool, path, to_json(value))
        except Exception as error:
            problem = str(error) if isinstance(error, NoAnswer) else f"{type(error).__name__}"
            silence = NoAnswer(problem)
            silence.silent_for = timedelta(seconds=self._clock() - line.silent_since.setdefault(path, self._clock()))
            fields = {"pool": pool, "url": public_url(self._url(pool) + path), "problem": problem}
            self._throttle.log(logging.WARNING, "the pool does not answer", fields, cause=cause)
            raise silence from None
        line.silent_since.pop(path, None)
        self._throttle.ended(cause)
        return body

    async def _response(self, pool: str, path: str, content: bytes) -> dict[str, Any]:
        token = self._token()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        response = await self._http().post(self._url(pool) + path, content=content, headers=headers)
        body = from_json(response.content) if response.status_code == 200 else None
        if not isinstance(body, dict):
            raise NoAnswer(f"it answers with status {response.status_code}")
        return body

    def _http(self) -> httpx2.AsyncClient:
        """Loaded with the first question: most hooks have no pool."""
        if self._client is None:
            import httpx2

            self._client = httpx2.AsyncClient(transport=self._transport(), trust_env=False, timeout=None)
        return self._client
