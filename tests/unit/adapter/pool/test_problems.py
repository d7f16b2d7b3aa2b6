"""Environments that a pool refuses, and the problems of sources that it reports."""

from __future__ import annotations

import asyncio

import pytest

from adapter.contract.environment import AdapterEnv
from adapter.delivery.attempt import Attempt, Disposition
from adapter.pool import pool
from adapter.testing.clock import START
from tests.unit.adapter.pool.kinds.failing_source import FailingSource
from tests.unit.adapter.pool.scenario import SINK, Scene, Sent, env_of, first_due_s, ids_of, sleep_until
from tests.virtual_time import run


async def refuse(sent: Sent) -> Attempt:
    return Attempt(Disposition.RETRY, "503", "answered 503")


@pytest.fixture(autouse=True)
def _healthy() -> None:
    FailingSource.error = None
    FailingSource.calls.clear()


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"INTERVAL": "soon"}, 'INTERVAL is "soon": '),
        ({"K_SINK": "sink"}, "K_SINK is not valid: write the absolute http(s) URL that events are sent to"),
        ({"K_CA_CERTS": "pem"}, "K_CA_CERTS is not valid: write PEM certificates"),
        ({"SOURCE_KIND": "NoSource"}, 'SOURCE_KIND is "NoSource": tests.unit.adapter.pool.kinds has no such kind'),
        ({"SOURCE_KIND": "OddSource"}, 'SOURCE_KIND is "OddSource": its class defines workers; a pool runs'),
        ({"SOURCE_KIND": "BrokenSource"}, "SOURCE_KIND is \"BrokenSource\": its module cannot be imported (Run"),
        ({"SOURCE_CONFIG": '{"no": 1}'}, "SOURCE_CONFIG, field no, is 1: "),
        ({"SINK_AUTH": '{"password":"hunter22"}'}, "SINK_AUTH is not valid: a pool holds no credentials"),
        ({"SOURCE_SECRET_0": "hunter22"}, "SOURCE_SECRET_0 is not valid: a pool holds no credentials"),
        ({"CHECKPOINT_URL": "redis://u:hunter22@h/"}, "CHECKPOINT_URL is not valid: a pool holds no credentials"),
        ({"K_SINK": "ftp://u:hunter22@h/"}, "K_SINK is not valid: "),
        ({"SOURCES_PACKAGE": "os"}, "SOURCES_PACKAGE is not valid: the process of the pool sets it"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "x=hunter22"}, "OTEL_EXPORTER_OTLP_HEADERS is not valid: the process"),
        ({"SOURCE_UID": "other"}, 'SOURCE_UID is "other": write the uid of the source, a'),
    ],
)  # fmt: skip
def test_environment_that_cannot_run_is_refused_with_a_text_without_secrets(environ: dict[str, str], text: str) -> None:
    async def test() -> None:
        scene = Scene()
        answers = [await scene.run("a", **environ) for _ in range(2)]
        assert answers[0].startswith(text)
        assert answers[0] == answers[1]
        assert "hunter22" not in answers[0] + scene.book.text
        assert "\n" not in answers[0]
        assert scene.pool.keep(["a"], filled=False).missing == []

    run(test())


def test_environment_that_the_hook_writes_is_accepted() -> None:
    async def test() -> None:
        scene = Scene()
        names = {"namespace": "team", "name": "a", "uid": "a", "event_source": "/apis/x/a", "interval": "10s"}
        env = AdapterEnv(sink=SINK, created=START, config={"missed": "latest"}, ce_overrides={"a": "b"}, **names)
        assert await scene.pool.run({"a": env.to_environ()}, absent_only=False) == {"a": ""}

    run(test())


def test_error_of_the_process_is_tried_again_with_the_next_question() -> None:
    async def test() -> None:
        scene = Scene()
        scene.error = OSError(24, "Too many open files")
        for _ in range(2):
            assert await scene.run("a") == "the pool cannot run it: OSError; see its log"
        assert [line["error"] for line in scene.book.lines] == ["OSError"]
        scene.error = None
        assert await scene.run("a") == ""

    run(test())


def test_source_goes_on_with_its_last_environment_while_an_edit_is_refused() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        assert await scene.run("a", INTERVAL="soon") != ""
        await sleep_until(first_due_s("a") + 5)
        assert scene.ids("a") == ids_of("a", 1)
        assert await scene.run("a") == ""

    run(test())


def test_problems_that_began_after_the_last_answer_are_troubled_until_they_end() -> None:
    async def test() -> None:
        scene = Scene()
        told = {"f": env_of("f", SOURCE_KIND="FailingSource", INTERVAL="1s"), "a": env_of("a")}
        assert await scene.pool.run(told, absent_only=False) == {"f": "", "a": ""}
        FailingSource.error = ValueError("no value")
        await asyncio.sleep(3)
        problem = "its tick fails at failing_source.py:16: ValueError: no value"
        for _ in range(2):
            assert scene.pool.keep(["a", "f"], filled=False).troubled == {"f": problem}
            assert await scene.pool.run(told, absent_only=False) == {"f": problem, "a": ""}
        FailingSource.error = None
        await asyncio.sleep(31)
        assert scene.pool.keep(["a", "f"], filled=False).troubled == {}
        assert await scene.pool.run(told, absent_only=False) == {"f": "", "a": ""}

    run(test())


def test_problem_that_returns_after_the_answer_of_a_healthy_source_is_another_one() -> None:
    """The hook asks about a source when its TroubledSource appears or disappears, not while it stays."""

    async def test() -> None:
        scene = Scene()
        told = {"f": env_of("f", SOURCE_KIND="FailingSource", INTERVAL="1s")}
        await scene.pool.run(told, absent_only=False)
        FailingSource.error = ValueError("no value")
        await asyncio.sleep(3)
        assert list(scene.pool.keep(["f"], filled=False).troubled) == ["f"]
        FailingSource.error = None
        await asyncio.sleep(31)
        assert await scene.pool.run(told, absent_only=False) == {"f": ""}
        FailingSource.error = ValueError("no value")
        await asyncio.sleep(3)
        assert list(scene.pool.keep(["f"], filled=False).troubled) == []
        for _ in range(2):
            assert list(scene.pool.keep(["f"], filled=False).troubled) == ["f"]

    run(test())


def test_problem_that_an_answer_has_told_is_not_troubled() -> None:
    async def test() -> None:
        scene = Scene()
        assert await scene.run("a", INTERVAL="soon") != ""
        assert scene.pool.keep(["a"], filled=False).troubled == {}

    run(test())


def failing(count: int) -> dict[str, dict[str, str]]:
    """The environments of so many sources whose ticks fail, by uid."""
    FailingSource.error = ValueError("no value")
    return {uid: env_of(uid, SOURCE_KIND="FailingSource", INTERVAL="1s") for uid in (f"u{n:03d}" for n in range(count))}


def test_at_most_100_are_troubled_and_they_stay_so_until_they_are_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MOST_TROUBLED", 100)

    async def test() -> None:
        scene = Scene()
        environs = failing(130)
        uids = list(environs)
        await scene.pool.run({uid: environs[uid] for uid in uids[10:]}, absent_only=False)
        await asyncio.sleep(3)
        assert list(scene.pool.keep(uids, filled=False).troubled) == uids[10:110]
        await scene.pool.run({uid: environs[uid] for uid in uids[:10]}, absent_only=False)
        await asyncio.sleep(3)
        assert list(scene.pool.keep(uids, filled=False).troubled) == uids[10:110]
        await scene.end("u010")
        assert list(scene.pool.keep(uids, filled=False).troubled) == [uids[0], *uids[11:110]]

    run(test())


def test_troubled_sources_that_were_asked_about_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the status of the others would say Ready until their next sync, which may be 10 minutes away."""
    monkeypatch.setattr(pool, "MOST_TROUBLED", 100)

    async def test() -> None:
        scene = Scene()
        environs = failing(230)
        uids = list(environs)
        await scene.pool.run(environs, absent_only=False)
        await asyncio.sleep(3)
        told: set[str] = set()
        for first, again in ((0, True), (100, True), (200, False)):
            for still_again in (again, False):  # the second time, nobody has asked
                kept = scene.pool.keep(uids, filled=False)
                assert set(kept.troubled) - told == set(uids[first : first + 100])
                assert (len(kept.troubled), kept.again) == (100, still_again)
            texts = await scene.pool.run({uid: environs[uid] for uid in kept.troubled}, absent_only=False)
            assert all(texts.values())
            told |= texts.keys()
        assert told == set(uids)
        last = scene.pool.keep(uids, filled=False)
        assert (set(last.troubled), last.again) == (set(kept.troubled), False)

    run(test())
