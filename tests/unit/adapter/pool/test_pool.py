"""What ``/run`` and ``/keep`` start, change and end, and what they answer."""

from __future__ import annotations

import asyncio
import gc

import pytest

from adapter.delivery.attempt import Attempt, Disposition, answered
from adapter.pool.pool import CONFIRM_S, LEFT, OTHER, TOMBSTONE_S
from tests.unit.adapter.pool.kinds.failing_source import FailingSource
from tests.unit.adapter.pool.scenario import Scene, Sent, env_of, first_due_s, ids_of, sleep_until
from tests.virtual_time import run


async def refuse(sent: Sent) -> Attempt:
    return Attempt(Disposition.RETRY, "503", "answered 503")


@pytest.fixture(autouse=True)
def _healthy() -> None:
    FailingSource.error = None
    FailingSource.calls.clear()


def test_source_sends_the_events_of_its_ticks_at_their_times() -> None:
    async def test() -> None:
        scene = Scene()
        assert await scene.run("a") == ""
        await sleep_until(first_due_s("a") + 25)
        assert scene.ids("a") == ids_of("a", 3)
        assert all(0 <= sent.at_s - sent.due_s < 0.002 for sent in scene.sent)

    run(test())


def test_start_of_a_process_repeats_the_last_tick_and_the_same_question_starts_nothing() -> None:
    async def test() -> None:
        scene = Scene()
        await sleep_until(first_due_s("a") + 25)
        for _ in range(3):
            assert await scene.run("a") == ""
            await asyncio.sleep(0.1)
        assert scene.ids("a") == ids_of("a", 1, first=2)

    run(test())


def test_edit_that_keeps_the_schedule_goes_on_with_the_next_tick() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        await sleep_until(first_due_s("a") + 15)
        assert await scene.run("a", K_CE_OVERRIDES='{"extensions":{"team":"x"}}') == ""
        assert await scene.run("a", K_CE_OVERRIDES='{"extensions":{"team":"y"}}', K_SINK="http://other.example/") == ""
        await sleep_until(first_due_s("a") + 25)
        assert scene.ids("a") == ids_of("a", 3)
        assert [sent.message.headers.get("ce-team") for sent in scene.sent] == [None, None, "y"]
        assert scene.sent[-1].url == "http://other.example/"

    run(test())


def test_edit_of_the_interval_begins_another_schedule_without_a_repeated_tick() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        await sleep_until(first_due_s("a") + 15)
        before = len(scene.sent)
        assert await scene.run("a", INTERVAL="2s") == ""
        await asyncio.sleep(4)
        assert [round(sent.at_s - sent.due_s) for sent in scene.sent[before:]] == [0, 0]

    run(test())


def test_event_in_flight_is_sent_again_if_an_edit_changes_its_sink() -> None:
    async def test() -> None:
        scene = Scene(refuse)
        await scene.run("a")
        await sleep_until(first_due_s("a") + 3)

        async def accept_other(sent: Sent) -> Attempt:
            return await refuse(sent) if "sink" in sent.url else answered(202)

        scene.answer = accept_other
        await scene.run("a", K_SINK="http://other.example/")
        await asyncio.sleep(0.1)
        assert scene.ids("a") == ids_of("a", 1)
        refused = len(scene.sent)
        await asyncio.sleep(5)
        assert len(scene.sent) == refused
        assert (scene.count("delivered"), scene.count("lost")) == (1, 0)

    run(test())


def test_event_in_flight_is_delivered_as_it_is_if_an_edit_keeps_its_sink() -> None:
    async def test() -> None:
        async def slow(sent: Sent) -> Attempt:
            await asyncio.sleep(4)
            return answered(202)

        scene = Scene(slow)
        await scene.run("a")
        await sleep_until(first_due_s("a") + 1)
        await scene.run("a", K_CE_OVERRIDES='{"extensions":{"team":"x"}}')
        await sleep_until(first_due_s("a") + 15)
        assert scene.ids("a") == ids_of("a", 2)

    run(test())


def test_null_ends_a_source_at_once_and_counts_as_known() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        await sleep_until(first_due_s("a") + 5)
        assert await scene.end("a") == ""
        assert await scene.end("b") == ""
        await asyncio.sleep(60)
        assert scene.ids("a") == ids_of("a", 1)
        assert scene.pool.keep(["a", "b", "c"], filled=False).missing == ["c"]

    run(test())


def test_absent_only_starts_absent_sources_and_leaves_running_ones_as_they_are() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        assert await scene.run("a", absent_only=True) == ""
        assert await scene.run("a", absent_only=True, INTERVAL="1s") == OTHER
        assert await scene.pool.run({"a": None}, absent_only=True) == {"a": ""}
        assert await scene.run("b", absent_only=True) == ""
        await sleep_until(25)
        assert len(scene.ids("a")) >= 2
        assert len(scene.ids("b")) >= 2

    run(test())


def test_later_list_corrects_the_environment_of_a_source_that_a_list_has_started() -> None:
    """The first list may be older than what the process before this one has answered, and nobody asks again."""

    async def test() -> None:
        scene = Scene()
        for uid in ("a", "asked"):
            await scene.run(uid, absent_only=True, K_SINK="http://old/")
        assert scene.pool.keep(["a", "asked"], filled=True).missing == []
        assert await scene.run("asked", K_SINK="http://new/") == ""
        await asyncio.sleep(CONFIRM_S)
        assert scene.pool.keep(["a", "asked"], filled=False).missing == ["a"]
        assert await scene.run("a", absent_only=True, K_SINK="http://new/") == ""
        await asyncio.sleep(CONFIRM_S)
        assert scene.pool.keep(["a", "asked"], filled=False).missing == []
        assert await scene.run("a", absent_only=True, K_SINK="http://old/") == OTHER
        assert {source.group.key.urls for source in scene.pool.running()} == {("http://new/",)}

    run(test())


def test_lost_sink_in_a_later_list_leaves_a_source_running() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a", absent_only=True)
        await asyncio.sleep(CONFIRM_S)
        assert scene.pool.keep(["a"], filled=True).missing == ["a"]
        assert await scene.pool.run({"a": None}, absent_only=True) == {"a": ""}
        assert scene.pool.source("a")

    run(test())


def test_list_does_not_start_a_source_that_was_stopped_meanwhile() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.end("a")
        assert await scene.run("a", absent_only=True) == OTHER
        assert not scene.pool.source("a")
        assert await scene.run("a") == ""

    run(test())


def test_list_ends_other_sources_except_those_that_were_named_just_now() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        await scene.run("b")
        kept = scene.pool.keep(["b"], filled=False)
        assert (kept.missing, kept.again, kept.filled) == ([], True, False)
        await asyncio.sleep(2.1)
        kept = scene.pool.keep(["b"], filled=True)
        assert (kept.missing, kept.again, kept.filled) == ([], False, True)
        assert [source.context.uid for source in scene.pool.running()] == ["b"]

    run(test())


def test_source_that_left_the_list_is_refused_for_30_s_unless_a_list_names_it_again() -> None:
    async def test() -> None:
        scene = Scene()
        for uid in ("a", "b"):
            await scene.run(uid)
        await asyncio.sleep(2.1)
        scene.pool.keep([], filled=False)
        assert await scene.run("a") == LEFT
        assert await scene.end("a") == ""
        assert scene.pool.keep(["b"], filled=False).missing == ["b"]
        assert await scene.run("b") == ""
        await asyncio.sleep(TOMBSTONE_S + 0.1)
        assert await scene.run("a") == ""

    run(test())


def test_pool_is_ready_once_it_is_filled_and_until_it_stops() -> None:
    async def test() -> None:
        pool = Scene().pool
        pool.keep([], filled=False)
        assert str(pool.unready_reason).startswith("not filled")
        pool.keep(["a"], filled=True)
        pool.keep([], filled=False)
        assert pool.unready_reason is None
        pool.stop()
        assert pool.unready_reason == "stopping"

    run(test())


def test_pool_is_not_ready_while_it_gets_no_list_and_its_sources_go_on() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        scene.pool.keep(["a"], filled=True)
        await asyncio.sleep(179)
        assert scene.pool.unready_reason is None
        await asyncio.sleep(2)
        assert str(scene.pool.unready_reason).startswith("no list of sources for 180 s")
        sent = len(scene.accepted)
        await asyncio.sleep(20)
        assert len(scene.accepted) == sent + 2
        scene.pool.keep(["a"], filled=False)
        assert scene.pool.unready_reason is None

    run(test())


def test_pool_settles_when_it_is_filled_and_when_its_sources_have_doubled() -> None:
    async def test() -> None:
        scene = Scene()
        for count, settled in ((2, 1), (3, 1), (4, 2), (6, 2)):
            uids = [f"u{n}" for n in range(count)]
            await scene.pool.run({uid: env_of(uid) for uid in uids}, absent_only=True)
            scene.pool.keep(uids, filled=True)
            assert len(scene.settled) == settled

    run(test())


def test_objects_of_an_ended_source_are_freed_without_the_garbage_collector() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a", SOURCE_KIND="FailingSource")
        await scene.run("b", SOURCE_KIND="FailingSource")
        await sleep_until(25)
        gc.collect()
        before = sum(isinstance(each, FailingSource) for each in gc.get_objects())
        gc.disable()
        try:
            await scene.end("a")
            await asyncio.sleep(60)
            assert sum(isinstance(each, FailingSource) for each in gc.get_objects()) == before - 1
        finally:
            gc.enable()

    run(test())
