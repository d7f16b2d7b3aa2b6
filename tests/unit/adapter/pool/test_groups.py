"""Sources with the same sink share one channel; other sources are not affected by its failures."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from adapter.delivery.attempt import Attempt, Disposition, answered
from adapter.pool.groups import ATTEMPTS
from tests.unit.adapter.pool.kinds.failing_source import FailingSource
from tests.unit.adapter.pool.scenario import SINK, Scene, Sent, accept, env_of, first_due_s, ids_of, sleep_until
from tests.virtual_time import run

OTHER = "http://other.example/"
FAILING = "FailingSource"


def uids(count: int) -> list[str]:
    return [f"u{n}" for n in range(count)]


@pytest.fixture(autouse=True)
def _healthy() -> None:
    FailingSource.error = None
    FailingSource.calls.clear()


def test_sources_with_the_same_sinks_and_policy_share_a_channel_which_ends_with_the_last() -> None:
    async def test() -> None:
        scene = Scene()
        for uid in uids(3):
            await scene.run(uid)
        assert scene.opened == [SINK]
        await scene.run("p", SOURCE_DELIVERY='{"retry":1}')
        await scene.run("d", DEAD_LETTER_SINK=OTHER)
        await scene.run("k", SOURCE_KIND=FAILING)
        assert scene.opened == [SINK, SINK, SINK, OTHER, SINK]
        for uid in uids(2):
            await scene.end(uid)
        await asyncio.sleep(0.1)
        assert scene.closed == []
        await scene.end("u2")
        await scene.end("d")
        await asyncio.sleep(0.1)
        assert sorted(scene.closed) == [OTHER, SINK, SINK]

    run(test())


def test_at_most_32_attempts_are_under_way_and_the_wait_for_them_is_not_part_of_their_timeout() -> None:
    """The sink needs 2 s, and an attempt may take 3 s: all 100 events arrive at their first attempt."""

    async def test() -> None:
        async def slow(sent: Sent) -> Attempt:
            await asyncio.sleep(2)
            return answered(202)

        scene, late = Scene(slow), 3600.0
        await asyncio.sleep(late)  # the last ticks of all sources are sent at once
        environs = {uid: env_of(uid, INTERVAL="1m", SOURCE_DELIVERY='{"timeout":"PT3S"}') for uid in uids(50)}
        others = {f"o{n}": env_of(f"o{n}", INTERVAL="1m", SOURCE_DELIVERY='{"timeout":"PT4S"}') for n in range(50)}
        await scene.pool.run(environs | others, absent_only=True)
        await asyncio.sleep(9)
        assert scene.most_under_way == ATTEMPTS
        assert len({sent.uid for sent in scene.accepted}) == 100

    run(test())


def test_retry_after_of_one_answer_stops_the_whole_group_also_those_that_wait_for_their_attempt() -> None:
    async def test() -> None:
        async def busy(sent: Sent) -> Attempt:
            await asyncio.sleep(0.5)
            return answered(429, 20.0)

        scene = Scene(busy)
        await asyncio.sleep(3600)
        await scene.pool.run(
            {uid: env_of(uid, INTERVAL="1m") for uid in uids(60)} | {"x": env_of("x")}, absent_only=True
        )
        await scene.run("o", K_SINK=OTHER)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        first = [sent for sent in scene.sent if sent.url == SINK]
        assert 0 < len(first) <= ATTEMPTS
        scene.answer = accept
        await asyncio.sleep(19)
        assert [sent for sent in scene.sent if sent.url == SINK] == first
        await asyncio.sleep(12)
        assert all(sent.at_s >= began + 20 for sent in scene.accepted if sent.url == SINK)
        assert len(scene.accepted) > len(first)

    run(test())


def test_sink_that_is_down_is_the_problem_of_its_group_only() -> None:
    async def test() -> None:
        async def one_is_down(sent: Sent) -> Attempt:
            return answered(202) if sent.url == OTHER else Attempt(Disposition.RETRY, "transport", "no connection")

        scene = Scene(one_is_down)
        told = {"a": env_of("a"), "b": env_of("b"), "o": env_of("o", K_SINK=OTHER)}
        assert set((await scene.pool.run(told, absent_only=False)).values()) == {""}
        await sleep_until(45)
        troubled = scene.pool.keep(list(told), filled=True).troubled
        assert list(troubled) == ["a", "b"]
        assert troubled["a"].startswith("the sink has accepted no event since 2026-01-01T00:00:")
        assert troubled["a"].endswith("; the last failure: no connection")
        assert scene.ids("o") == ids_of("o", len(scene.ids("o")))
        assert all(sent.at_s - sent.due_s < 0.002 for sent in scene.accepted)
        scene.answer = accept
        await asyncio.sleep(31)
        assert scene.pool.keep(list(told), filled=True).troubled == {}

    run(test())


def test_sink_that_refuses_the_events_of_one_source_is_the_problem_of_this_source_only() -> None:
    async def test() -> None:
        async def refuse_a(sent: Sent) -> Attempt:
            return answered(400 if sent.uid == "a" else 202)

        scene = Scene(refuse_a)
        told = {"a": env_of("a"), "b": env_of("b")}
        await scene.pool.run(told, absent_only=False)
        await sleep_until(45)
        troubled = scene.pool.keep(["a", "b"], filled=True).troubled
        assert list(troubled) == ["a"]
        assert troubled["a"].startswith("the sink has accepted no event of this source since 2026-01-01T00:00:")
        assert scene.count("lost") >= 3

    run(test())


def test_tick_that_raises_is_made_again_after_growing_pauses_and_others_go_on() -> None:
    async def test() -> None:
        scene = Scene()
        FailingSource.error = RuntimeError("boom")
        await scene.pool.run({"f": env_of("f", SOURCE_KIND=FAILING, INTERVAL="5m"), "a": env_of("a")}, absent_only=True)
        first_s = first_due_s("f", 300)
        await sleep_until(first_s + 20)
        assert FailingSource.calls == [0, 0, 0, 0, 0]  # after 0, 1, 3, 7 and 15 s
        await sleep_until(first_s + 32)
        FailingSource.error = None
        await sleep_until(first_s + 70)
        assert FailingSource.calls == [0] * 6  # after 61 s, it is too late
        assert (scene.ids("f"), scene.count("skipped", FAILING)) == ([], 1)
        assert len(scene.ids("a")) >= 9
        assert all(sent.at_s - sent.due_s < 0.002 for sent in scene.sent if sent.uid == "a")
        metrics = scene.metrics()
        assert metrics[f'source_pool_tick_failures_total{{kind="{FAILING}",name="p",namespace="ns"}}'] == 6
        assert metrics['source_pool_sources{kind="SampleSource",name="p",namespace="ns"}'] == 1
        lines = scene.book.logged("the tick of a source failed")
        assert sum(line["count"] for line in lines) == 6
        assert lines[0]["source"] == "/apis/x/f"
        assert (lines[0]["kind"], lines[0]["sink"], lines[0]["at"]) == (FAILING, SINK, "failing_source.py:16")

    run(test())


class Hostile(dict[str, int]):
    def items(self) -> NoReturn:
        raise RuntimeError("no items")


def test_event_that_cannot_be_encoded_for_an_unexpected_reason_is_lost_and_the_source_goes_on() -> None:
    async def test() -> None:
        scene = Scene()
        FailingSource.data = Hostile(a=1)
        try:
            await scene.run("f", SOURCE_KIND=FAILING)
            await sleep_until(first_due_s("f") + 0.5)
            assert "RuntimeError: no items" in scene.pool.keep(["f"], filled=True).troubled["f"]
            assert scene.count("lost", FAILING) == 1
        finally:
            FailingSource.data = None
        await asyncio.sleep(10)
        assert scene.ids("f") == ids_of("f", 1, first=1)

    run(test())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_tick_that_raises_an_exit_ends_neither_the_pool_nor_its_source(error: BaseException) -> None:
    async def test() -> None:
        scene = Scene()
        FailingSource.error = error
        await scene.run("f", SOURCE_KIND=FAILING)
        await sleep_until(first_due_s("f") + 0.5)
        assert type(error).__name__ in scene.pool.keep(["f"], filled=True).troubled["f"]
        FailingSource.error = None
        await asyncio.sleep(1)
        assert scene.ids("f") == ids_of("f", 1)

    run(test())


def test_counts_of_a_closed_group_stay_in_the_metrics_of_its_kind() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        await scene.run("b", K_SINK=OTHER)
        await sleep_until(25)
        sent = len(scene.sent)
        await scene.end("a")
        await asyncio.sleep(0.1)
        assert scene.count("delivered") == sent

    run(test())


def test_stop_delivers_what_is_in_flight_and_counts_what_is_not_delivered() -> None:
    async def test() -> None:
        async def slow_or_never(sent: Sent) -> Attempt:
            await asyncio.sleep(5 if sent.url == SINK else 3600)
            return answered(202)

        scene = Scene(slow_or_never)
        await asyncio.sleep(3600)
        await scene.pool.run({"a": env_of("a"), "o": env_of("o", K_SINK=OTHER)}, absent_only=True)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        scene.pool.stop()
        await scene.pool.drain()
        assert 20 <= asyncio.get_running_loop().time() - began < 23  # as an adapter: one attempt, and 10 s
        assert (scene.count("delivered"), scene.count("lost")) == (1, 1)
        (line,) = scene.book.logged("event lost: not delivered before shutdown")
        assert line["event_id"].startswith("o-")
        sent = len(scene.sent)
        await asyncio.sleep(60)
        assert len(scene.sent) == sent

    run(test())


def test_event_in_flight_of_an_ended_source_gets_the_time_of_a_shutdown() -> None:
    async def test() -> None:
        async def never(sent: Sent) -> Attempt:
            await asyncio.sleep(3600 if sent.uid == "a" else 0)
            return answered(202)

        scene = Scene(never)
        await scene.run("a")
        await scene.run("b")
        await sleep_until(first_due_s("a") + 1)
        await scene.end("a")
        await asyncio.sleep(19)
        assert scene.count("lost") == 0
        await asyncio.sleep(2)
        assert scene.count("lost") == 1
        assert scene.book.logged("event lost: not delivered before shutdown")

    run(test())


def test_forward_step_of_the_clock_skips_and_counts_ticks_and_backward_step_is_logged() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.run("a")
        await sleep_until(first_due_s("a") + 1)
        scene.clock.ahead_s = 100
        await asyncio.sleep(10)
        assert scene.count("skipped") == 9
        scene.clock.ahead_s = 0
        await asyncio.sleep(9)
        (line,) = scene.book.logged("the clock was set back")
        assert line["by_s"] == 100
        before = len(scene.sent)
        await asyncio.sleep(105)
        assert len(scene.sent) == before + 1

    run(test())
