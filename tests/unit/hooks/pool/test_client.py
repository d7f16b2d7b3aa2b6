"""The client of pools: one question under way, batches, limits, and how long a pool has been silent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adapter.contract.declarations import EnvError
from adapter.pool.api import BODY_SIZE as POOL_BODY_SIZE
from adapter.serving.logs import LogThrottle
from hooks.pool.client import BATCH, Pools
from hooks.pool.question import STOP, WAIT, Question
from hooks.pool.routes import make_pools
from hooks.pool.verdict import Told
from hooks.settings import Settings
from tests.logbook import Logbook

RUN = Question({"K_SINK": "http://h"})


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def pools(handle: Callable[..., Any], clock: Clock | None = None, token: str = "") -> tuple[Pools, Logbook]:
    book = Logbook()
    throttle = LogThrottle(book.log, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    transport = httpx2.MockTransport(handle)
    made = Pools("http://{}:8090".format, lambda: token, throttle, transport=lambda: transport, clock=clock or Clock())
    return made, book


def all_run(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={"sources": dict.fromkeys(json.loads(request.content)["sources"], "")})


def test_questions_that_come_meanwhile_go_with_the_next_request() -> None:
    sizes: list[int] = []
    under_way = 0

    async def handle(request: httpx2.Request) -> httpx2.Response:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        sizes.append(len(json.loads(request.content)["sources"]))
        await asyncio.sleep(0)
        under_way -= 1
        return all_run(request)

    async def ask() -> list[Told]:
        made, _ = pools(handle)
        first = asyncio.create_task(made.ask("many", "u-0", RUN))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = await asyncio.gather(*(made.ask("many", f"u-{n}", RUN) for n in range(1, BATCH + 20)))
        return [await first, *rest]

    assert set(asyncio.run(ask())) == {Told()}
    assert sizes == [1, BATCH, 19]


def test_later_question_about_the_same_source_goes_later_and_absent_only_apart() -> None:
    bodies: list[Any] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.content))
        return all_run(request)

    async def ask() -> None:
        made, _ = pools(handle)
        questions = [("a", RUN), ("a", STOP), ("b", WAIT), ("b", RUN)]
        await asyncio.gather(*(made.ask("many", uid, question) for uid, question in questions))

    asyncio.run(ask())
    environ = {"K_SINK": "http://h"}
    assert bodies == [
        {"sources": {"a": environ, "b": environ}, "absentOnly": False},
        {"sources": {"a": None}, "absentOnly": False},
        {"sources": {"b": None}, "absentOnly": True},
    ]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(httpx2.Response(401, json={"error": "S3CRET"}), "it answers with status 401", id="status"),
        pytest.param(httpx2.Response(200, content=b"{"), "ValueError", id="no-json"),
        pytest.param(httpx2.Response(200, content=b"[]"), "it answers with status 200", id="no-object"),
        pytest.param(httpx2.ConnectError("S3CRET"), "ConnectError", id="refused"),
    ],
)
def test_anything_but_an_answer_is_silence_and_is_logged(answer: Any, problem: str) -> None:
    clock = Clock()

    def handle(_: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, content=answer.content)

    async def ask() -> list[Told]:
        made, book = pools(handle, clock)
        first = await made.ask("many", "u", RUN)
        clock.seconds += 12
        told = [first, await made.ask("many", "u", RUN)]
        [line] = book.lines
        assert line["problem"] == problem
        assert line["url"] == "http://many:8090/run"
        return told

    assert asyncio.run(ask()) == [Told(silent_for=timedelta(0)), Told(silent_for=timedelta(seconds=12))]


def test_log_shows_no_password_of_the_url() -> None:
    book = Logbook()
    throttle = LogThrottle(book.log, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    settings = Settings(adapter_image="a:1", pool_url="http://hook:S3CRET@{name}.example:1/?key=S3CRET")
    made = make_pools(settings, throttle, transport=lambda: httpx2.MockTransport(lambda _: httpx2.Response(503)))
    asyncio.run(made.ask("many", "u", RUN))
    assert "many.example" in book.text
    assert "S3CRET" not in book.text


def test_answer_ends_the_silence() -> None:
    clock, answers = Clock(), iter([False, True, False])

    def handle(request: httpx2.Request) -> httpx2.Response:
        return all_run(request) if next(answers) else httpx2.Response(503)

    async def ask() -> list[Told]:
        made, _ = pools(handle, clock)
        told = []
        for _ in range(3):
            told.append(await made.ask("many", "u", RUN))
            clock.seconds += 20
        return told

    assert asyncio.run(ask()) == [Told(silent_for=timedelta(0)), Told(), Told(silent_for=timedelta(0))]


def test_answer_to_a_list_does_not_end_the_silence_about_sources() -> None:
    clock = Clock()

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={}) if request.url.path == "/keep" else httpx2.Response(500)

    async def ask() -> list[Told]:
        made, _ = pools(handle, clock)
        told = []
        for _ in range(2):
            told.append(await made.ask("many", "u", RUN))
            await made.keep("many", ["u"], filled=False)
            clock.seconds += 20
        return told

    assert asyncio.run(ask()) == [Told(silent_for=timedelta(0)), Told(silent_for=timedelta(seconds=20))]


def test_large_sources_are_divided_among_requests_that_the_pool_takes() -> None:
    sizes: list[int] = []
    large = Question({"SOURCE_CONFIG": '"' * 700_000})  # twice as long in JSON

    def handle(request: httpx2.Request) -> httpx2.Response:
        sizes.append(len(json.loads(request.content)["sources"]))
        return all_run(request) if len(request.content) <= POOL_BODY_SIZE else httpx2.Response(413)

    async def ask() -> list[Told]:
        made, _ = pools(handle)
        return await asyncio.gather(*(made.ask("many", f"u-{n}", large) for n in range(6)))

    assert set(asyncio.run(ask())) == {Told()}
    assert sizes == [4, 2]


def test_source_that_is_missing_in_the_answer_does_not_run() -> None:
    async def ask() -> Told:
        made, _ = pools(lambda _: httpx2.Response(200, json={"sources": {}}))
        return await made.ask("many", "u", RUN)

    assert asyncio.run(ask()) == Told("the pool has not answered about this source")


def test_caller_that_goes_away_disturbs_no_other() -> None:
    async def ask() -> Told:
        made, _ = pools(all_run)
        gone = asyncio.create_task(made.ask("many", "gone", RUN))
        other = asyncio.create_task(made.ask("many", "u", RUN))
        await asyncio.sleep(0)
        gone.cancel()
        return await other

    assert asyncio.run(ask()) == Told()


def test_pool_is_not_asked_for_a_caller_that_has_gone_while_it_waited() -> None:
    asked: list[str] = []
    hangs = asyncio.Event()

    async def handle(request: httpx2.Request) -> httpx2.Response:
        asked.extend(json.loads(request.content)["sources"])
        await hangs.wait()
        return all_run(request)

    async def ask() -> None:
        made, _ = pools(handle)
        first = asyncio.create_task(made.ask("many", "a", RUN))
        while not asked:  # noqa: ASYNC110 -- the request has no event
            await asyncio.sleep(0)
        gone = asyncio.create_task(made.ask("many", "b", RUN))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        hangs.set()
        assert await first == Told()
        assert await made.ask("many", "c", RUN) == Told()

    asyncio.run(ask())
    assert asked == ["a", "c"]


def test_token_of_the_file_is_sent_and_a_changed_file_applies_at_once(tmp_path: Path) -> None:
    file, sent = tmp_path / "token", []
    file.write_text("first-token-of-the-pool\nsecond-token-of-the-pool\n")

    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append((str(request.url), request.headers["Authorization"]))
        return all_run(request)

    async def ask() -> None:
        settings = Settings(adapter_image="a:1", namespace="hooks", pool_token_file=file)
        throttle = LogThrottle(logging.getLogger("hooks"), lambda: datetime.now(UTC))
        made = make_pools(settings, throttle, transport=lambda: httpx2.MockTransport(handle))
        await made.ask("many", "u", RUN)
        file.write_text("other-token-of-the-pool\n")
        await made.ask("many", "u", RUN)

    asyncio.run(ask())
    url = "http://many.hooks.svc.cluster.local:8090/run"
    assert sent == [(url, "Bearer first-token-of-the-pool"), (url, "Bearer other-token-of-the-pool")]


def test_file_without_a_token_stops_the_hook(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    settings = Settings(adapter_image="a:1", pool_token_file=tmp_path / "token")
    with pytest.raises(EnvError, match="POOL_TOKEN_FILE"):
        make_pools(settings, LogThrottle(logging.getLogger("hooks"), lambda: datetime.now(UTC)))
