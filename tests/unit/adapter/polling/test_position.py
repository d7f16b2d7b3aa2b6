"""What a poller saves, when it saves it, and what a later process does with it."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from adapter.contract.formats import Json
from adapter.model.checkpoint import Checkpoint
from adapter.polling.poller import position_of
from adapter.polling.position import FORMAT, Handled, Position, UnusableRecord
from adapter.sdk import Event, Outcome, PollFailed
from adapter.sources.poll_source import PollSource
from tests.unit.adapter.polling.polled import URL, ok
from tests.unit.adapter.polling.polling_run import Found, Run, Scripted

DELIVERED, DEAD_LETTERED, REJECTED, GAVE_UP = Outcome


def resumed(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint of the next process: what a store would give it."""
    copy = Checkpoint(is_shared=checkpoint.is_shared)
    if checkpoint.version:
        copy.restore(checkpoint.version, json.loads(json.dumps(checkpoint.load())))
    return copy


def process(source: Any, checkpoint: Checkpoint, *outcomes: Outcome, **details: Any) -> Run:
    """A process that runs until the script of its source ends. ``outcomes``: of the first events."""
    queue = iter(outcomes)
    run = Run(source, lambda event: next(queue, DELIVERED), **details)
    run.context = replace(run.context, checkpoint=checkpoint)
    run.ids()
    return run


def scripted(*steps: Found, skips: bool = False) -> Scripted:
    return Scripted(steps=list(steps), skips=skips)


def ids(run: Run) -> list[str | None]:
    return [event.id for event in run.events]


def test_items_with_a_final_outcome_are_not_sent_again_by_the_next_process() -> None:
    checkpoint = Checkpoint()
    process(scripted(["a", "b", "c"]), checkpoint, DELIVERED, DEAD_LETTERED, REJECTED)
    assert ids(process(scripted(["a", "b", "c", "d"]), resumed(checkpoint))) == ["d"]


def test_item_that_the_sink_did_not_accept_is_sent_by_the_next_process() -> None:
    checkpoint = Checkpoint()
    process(scripted(["a", "b"]), checkpoint, DELIVERED, GAVE_UP)
    assert ids(process(scripted(["a", "b"]), resumed(checkpoint))) == ["b"]


def test_refused_item_that_the_source_keeps_is_sent_by_the_next_process() -> None:
    class Keeps(Scripted):
        def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
            return True

    checkpoint = Checkpoint()
    process(Keeps(steps=[["a", "b"]]), checkpoint, REJECTED)
    assert ids(process(Keeps(steps=[["a", "b"]]), resumed(checkpoint))) == ["a"]


def test_item_is_saved_after_its_outcome_and_not_before() -> None:
    checkpoint, saved = Checkpoint(), []
    run = Run(scripted(["a", "b"]), lambda event: (saved.append(checkpoint.load()), DELIVERED)[1])
    run.context = replace(run.context, checkpoint=checkpoint)
    run.ids()
    assert saved[0] is None
    assert len(base64.b64decode(saved[1]["seen"])) == 9


@pytest.mark.parametrize("found", [[], ["a"]], ids=["no item", "one item"])
def test_items_that_appear_while_no_process_runs_are_sent_even_if_the_source_skips_existing_ones(
    found: list[str],
) -> None:
    checkpoint = Checkpoint()
    assert ids(process(scripted(found, skips=True), checkpoint)) == []
    assert ids(process(scripted([*found, "b"], skips=True), resumed(checkpoint))) == ["b"]


@pytest.mark.parametrize("first", [PollFailed("down"), None], ids=["failed", "none"])
def test_source_without_a_successful_poll_skips_existing_items_at_its_next_start(first: Exception | None) -> None:
    checkpoint = Checkpoint()
    process(scripted(*filter(None, [first]), skips=True), checkpoint)
    assert checkpoint.version == 0
    assert ids(process(scripted(["a"], ["a", "b"], skips=True), resumed(checkpoint))) == ["b"]


def test_source_that_no_longer_skips_sends_the_items_that_were_skipped() -> None:
    checkpoint = Checkpoint()
    process(scripted(["a", "b"], ["b", "c"], skips=True), checkpoint)
    assert ids(process(scripted(["b", "c", "d"]), resumed(checkpoint))) == ["b", "d"]


def test_source_that_begins_to_skip_skips_no_item() -> None:
    checkpoint = Checkpoint()
    process(scripted(["a"]), checkpoint)
    assert ids(process(scripted(["a", "b"], skips=True), resumed(checkpoint))) == ["b"]


def test_version_grows_by_items_and_not_by_polls() -> None:
    """Of two processes, the one that has handled more items has the higher version."""
    often, rarely = Checkpoint(), Checkpoint()
    process(scripted(["a"], ["a"], ["b"], ["c"], ["c"]), often)
    process(scripted(["a", "b", "c"]), rarely)
    assert often.version == rarely.version == 7
    process(scripted(["a", "b", "c", "d"]), ahead := Checkpoint())
    assert ahead.version > often.version


def test_poll_without_new_items_saves_nothing() -> None:
    checkpoint = Checkpoint()
    process(scripted(["a"]), checkpoint)
    after = resumed(checkpoint)
    process(scripted(["a"], [], PollFailed("down"), ["a"]), after)
    assert after.version == checkpoint.version


def test_ten_thousand_items_take_120_kilobytes() -> None:
    position = Position()
    for n in range(10_001):
        position.add(str(n), DELIVERED)
    text = json.dumps(position.checkpoint.load())
    assert len(text) == pytest.approx(120_000, rel=0.01)
    again = Position.restored(resumed(position.checkpoint), sends_skipped=True)
    assert again.handled.find("0") == (False, None)
    assert again.handled.find("1") == again.handled.find("10000") == (True, DELIVERED)


def test_order_of_use_is_restored() -> None:
    handled = Handled(3)
    for key in "abc":
        handled.add(key, DELIVERED)
    handled.find("a")
    again = Handled(3)
    again.restore(handled.to_bytes())
    again.add("d", REJECTED)
    assert [again.find(key)[0] for key in "abcd"] == [True, False, True, True]


UNUSABLE = [
    pytest.param(5, "it is not the state of a poller", id="another-value"),
    pytest.param({"last": 1}, "it is not the state of a poller", id="another-kind"),
    pytest.param({"poller": 2}, "it has another format than 1, so another version of the adapter wrote it", id="newer"),
    pytest.param({"poller": FORMAT}, "it is damaged", id="no-keys"),
    pytest.param({"poller": FORMAT, "seen": "x", "cursors": {}}, "it is damaged", id="no-base64"),
    pytest.param({"poller": FORMAT, "seen": "AAAA", "cursors": {}}, "it is damaged", id="cut-off"),
    pytest.param({"poller": FORMAT, "seen": "AAAAAAAAAAAA", "cursors": {}}, "it is damaged", id="no-outcome"),
    pytest.param({"poller": FORMAT, "seen": "", "cursors": {"at": True}}, "it is damaged", id="cursor"),
    pytest.param({"poller": FORMAT, "seen": "", "cursors": {}, "more": 1}, "it is damaged", id="unknown-field"),
]


@pytest.mark.parametrize(("value", "problem"), UNUSABLE)
def test_unusable_checkpoint_keeps_the_source_unready_and_sends_nothing(value: Json, problem: str) -> None:
    checkpoint = Checkpoint(key="5f0c")
    checkpoint.restore(1, value)
    run = Run(scripted(["a"], skips=True))
    run.context = replace(run.context, checkpoint=checkpoint)

    async def first() -> Event:
        return await asyncio.wait_for(anext(run.source.events(run.context)), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(first())
    reason = (
        f"the checkpoint cannot be used: {problem}; delete the record 5f0c to start without one, then restart the pod"
    )
    assert run.unready == [reason]
    (line,) = run.book.lines
    assert (line["level"], line["reason"]) == ("error", reason)
    assert run.outcomes == []


def test_unusable_checkpoint_raises_no_other_exception_for_any_value() -> None:
    values: list[Json] = [[], "", {}, {"poller": None}, {"poller": FORMAT, "seen": None, "cursors": []}]
    for value in values:
        checkpoint = Checkpoint()
        checkpoint.restore(1, value)
        with pytest.raises(UnusableRecord):
            Position.restored(checkpoint, sends_skipped=False)


class Feed:
    """An upstream with the ETag of its items. ``asked``: the validators of the requests."""

    def __init__(self, *lists: str) -> None:
        self.lists = list(lists)
        self.asked: list[str | None] = []
        self.moved_to = ""

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.moved_to and request.url.path != self.moved_to:
            return httpx2.Response(302, headers={"Location": self.moved_to})
        if not self.lists:
            raise KeyboardInterrupt
        tag, items = f'"{self.lists[0]}"', list(self.lists.pop(0))
        self.asked.append(request.headers.get("If-None-Match"))
        return httpx2.Response(304) if self.asked[-1] == tag else ok([{"id": each} for each in items], ETag=tag)


def polls(feed: Feed, checkpoint: Checkpoint, *outcomes: Outcome, **fields: Any) -> Run:
    source = PollSource.model_validate({"url": URL, "start": "earliest", **fields})
    return process(source, checkpoint, *outcomes, handler=feed)


def test_validators_are_restored_with_the_items() -> None:
    checkpoint = Checkpoint()
    polls(Feed("ab"), checkpoint)
    feed = Feed("ab", "abc")
    run = polls(feed, resumed(checkpoint))
    assert feed.asked == ['"ab"', '"ab"']
    assert (ids(run), run.outcomes) == (["c"], ["unchanged", "ok"])


def test_validators_are_not_saved_while_an_item_of_the_response_was_not_accepted() -> None:
    checkpoint = Checkpoint()
    polls(Feed("ab"), checkpoint, DELIVERED, GAVE_UP)
    feed = Feed("ab")
    assert ids(polls(feed, resumed(checkpoint))) == ["b"]
    assert feed.asked == [None]


def test_validators_are_not_kept_if_a_refused_item_will_be_sent_again() -> None:
    class Keeps(PollSource):
        def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
            return True

    feed = Feed("ab", "ab")
    run = process(Keeps.model_validate({"url": URL, "start": "earliest"}), Checkpoint(), REJECTED, handler=feed)
    assert feed.asked == [None, None]
    assert ids(run) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("before", "after", "is_conditional"),
    [
        ({}, {}, True),
        ({}, {"interval": "2m", "timeout": "9s", "eventType": "other"}, True),
        ({"headers": {"Accept-Language": "en"}}, {"headers": {"accept-language": "en"}}, True),
        ({"headers": {"Accept-Language": "en"}}, {"headers": {"Accept-Language": "de"}}, False),
        ({}, {"secretHeaders": {"Authorization": "hush"}}, False),
        ({"secretHeaders": {"Authorization": "hush"}}, {}, False),
        (
            {"auth": {"basic": {"username": "u", "password": "p"}}},
            {"auth": {"basic": {"username": "v", "password": "p"}}},
            False,
        ),
    ],
    ids=["same", "other-fields", "same-headers", "headers", "secret-added", "secret-removed", "credentials"],
)
def test_validators_are_restored_only_for_the_same_request_without_credentials(
    before: dict[str, Any], after: dict[str, Any], is_conditional: bool
) -> None:
    """Another header or user can get another list with the same Last-Modified."""
    checkpoint = Checkpoint()
    polls(Feed("ab"), checkpoint, **before)
    assert "hush" not in json.dumps(checkpoint.load())
    feed = Feed("ab")
    polls(feed, resumed(checkpoint), **after)
    assert feed.asked == ['"ab"' if is_conditional else None]


def test_validators_of_skipped_items_are_dropped_when_these_items_are_sent() -> None:
    checkpoint = Checkpoint()
    polls(Feed("ab"), checkpoint, start="now")
    feed = Feed("ab")
    assert ids(polls(feed, resumed(checkpoint), start="earliest")) == ["a", "b"]
    assert feed.asked == [None]


def test_url_of_a_redirect_is_not_in_the_checkpoint() -> None:
    feed = Feed("ab")
    feed.moved_to = "/signed-with-hush"
    polls(feed, checkpoint := Checkpoint())
    assert checkpoint.load()["validators"]["conditions"] == {"if-none-match": '"ab"'}
    assert "hush" not in json.dumps(checkpoint.load())


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("is_stored", [True, False])
def test_event_is_lost_at_the_shutdown_only_if_the_next_process_may_skip_it(
    skips: bool, is_shared: bool, is_stored: bool
) -> None:
    source, checkpoint = scripted([], skips=skips), Checkpoint(is_shared=is_shared)
    if is_stored:
        checkpoint.restore(1, {"poller": FORMAT, "seen": "", "cursors": {}})
    process(source, checkpoint)
    assert source.sends_again(GAVE_UP, stopping=True) is (not skips or (is_shared and is_stored))
    assert source.sends_again(GAVE_UP, stopping=False)
    assert position_of(source).checkpoint is checkpoint
