"""Cursors of pollers: which values they take, when they move, and what is wrong with a declaration or an item."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any, ClassVar

import httpx2
import pytest

from adapter.model.checkpoint import Checkpoint
from adapter.polling.errors import PollFailed
from adapter.sdk import Event, Incremental, Outcome, Poller, Source, Timer
from adapter.testing import Poll
from adapter.testing import Run as RunFixture
from tests.unit.adapter.polling.polling_run import Run

Rows = list[dict[str, Any]]


class Orders(Poller):
    """Each poll takes the next list of rows, and records the cursor."""

    since = Incremental("order.at")
    _polls: list[Rows | Exception] = []
    _asked: list[Any] = []

    def next_rows(self) -> Rows:
        self._asked.append(self.since.value)
        if not self._polls:
            raise KeyboardInterrupt
        step = self._polls.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
        return [event_of(row) for row in self.next_rows()]


class YieldedOrders(Orders):
    async def poll(self, client: httpx2.AsyncClient) -> AsyncGenerator[Event, Outcome | None]:  # type: ignore[override]
        for row in self.next_rows():
            yield event_of(row)


class LaggingOrders(Orders):
    since = Incremental("order.at", lag="5m")


class NumberedOrders(Orders):
    since = Incremental("order.at", lag=10)


class SendsRefusedAgain(Orders):
    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        return True


def event_of(row: dict[str, Any]) -> Event:
    return Event(type="t", id=str(row["id"]), data={"order": row})


def row(id: int, at: Any) -> dict[str, Any]:
    return {"id": id, "at": at}


def polled(source: Orders, *polls: Rows | Exception, outcomes: Iterable[Outcome] = ()) -> Run:
    source._polls, source._asked = list(polls), []
    queue = iter(outcomes)
    run = Run(source, lambda event: next(queue, Outcome.DELIVERED))
    run.ids()
    return run


@pytest.mark.parametrize("kind", [Orders, YieldedOrders])
def test_cursor_is_none_first_and_then_the_greatest_value_of_the_items(kind: type[Orders]) -> None:
    source = kind()
    run = polled(source, [row(1, 5), row(2, 9), row(3, 7)], [], [row(4, 8)], [row(5, 9.5)])
    assert source._asked == [None, 9, 9, 9, 9.5]
    assert [event.id for event in run.events] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("values", "greatest"),
    [
        (["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+02:00"], "2026-01-01T00:00:00Z"),
        (["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.45Z"], "2026-01-01T00:00:00.5Z"),
        (["2026-01-01T00:00:00.000000002Z", "2026-01-01T00:00:00.000000001Z"], "2026-01-01T00:00:00.000000002Z"),
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"], "2026-01-01T00:00:00Z"),
        (["2016-12-31t23:59:60z", "2016-12-31T23:59:59.9Z"], "2016-12-31t23:59:60z"),
        (["2026-01-01", "2026-02-01"], "2026-02-01"),
        (["01J", "01H"], "01J"),
    ],
    ids=["offset", "fraction", "nanoseconds", "same-instant", "leap-second", "date", "text"],
)
def test_texts_are_ordered_as_times_of_rfc_3339_or_by_their_characters(values: list[str], greatest: str) -> None:
    source = Orders()
    polled(source, [row(n, value) for n, value in enumerate(values)])
    assert source._asked == [None, greatest]


@pytest.mark.parametrize(
    ("value", "earlier"),
    [
        ("2026-01-01T00:03:00Z", "2025-12-31T23:58:00Z"),
        ("2026-01-01 00:03:00.120+02:00", "2025-12-31 23:58:00.120+02:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:54:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_lag_is_subtracted_from_a_time_in_its_own_form(value: str, earlier: str) -> None:
    source = LaggingOrders()
    polled(source, [row(1, value)])
    assert source._asked == [None, earlier]


def test_lag_of_a_number_is_subtracted_and_the_cursor_still_does_not_move_back() -> None:
    source = NumberedOrders()
    run = polled(source, [row(1, 100)], [row(1, 100), row(2, 92)], [row(2, 92), row(3, 101)])
    assert source._asked == [None, 90, 90, 91]
    assert [event.id for event in run.events] == ["1", "2", "3"]


def test_cursor_stays_after_a_poll_that_failed_or_that_the_sink_cut_short() -> None:
    class Fails(Orders):
        def poll(self, client: httpx2.AsyncClient) -> Any:
            for each in self.next_rows():
                yield event_of(each)
                if each["id"] == 1:
                    raise PollFailed("page 2 is missing")

    source = Fails()
    polled(
        source, [row(1, 5)], [row(2, 6), row(3, 7)], [row(3, 7)], outcomes=[Outcome.DELIVERED] * 2 + [Outcome.GAVE_UP]
    )
    assert source._asked == [None, None, None, 7]


@pytest.mark.parametrize(("kind", "cursor"), [(Orders, 6), (SendsRefusedAgain, None)])
def test_cursor_passes_a_refused_item_only_if_it_is_not_sent_again(kind: type[Orders], cursor: int | None) -> None:
    source = kind()
    polled(source, [row(1, 5), row(2, 6)], outcomes=[Outcome.REJECTED])
    assert source._asked == [None, cursor]


def test_two_sources_of_one_kind_have_their_own_cursors() -> None:
    first, second = Orders(), Orders()
    polled(first, [row(1, 5)])
    polled(second, [])
    assert (first.since.value, second.since.value) == (5, None)


def test_checkpoint_resumes_the_cursor_and_the_known_items() -> None:
    checkpoint = Checkpoint()
    before = Run(Orders())
    before.source._polls, before.context = [[row(1, 5)]], with_checkpoint(before, checkpoint)  # type: ignore[attr-defined]
    before.ids()
    after = Run(source := LaterOrders())
    source._polls, source._asked = [[row(1, 5), row(2, 5)]], []
    after.context = with_checkpoint(after, checkpoint)
    assert after.ids() == ["2"]
    assert source._asked == [5, 5]


class LaterOrders(Orders):
    """The attribute has another name, and the same path."""

    after = Incremental("order.at")


def with_checkpoint(run: Run, checkpoint: Checkpoint) -> Any:
    from dataclasses import replace

    return replace(run.context, checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        (
            Orders,
            [None],
            'Orders.since: an item has no text or number at "order.at"; put it into the data of the event',
        ),
        (Orders, [True], 'Orders.since: an item has no text or number at "order.at"'),
        (Orders, [float("inf")], 'Orders.since: an item has no text or number at "order.at"'),
        (
            Orders,
            [1, "x"],
            'Orders.since: the value of an item is a text and the cursor a number; use one type at "order.at"',
        ),
        (Orders, ["2026-01-01T00:00:00Z", "2026-01-01"], "the value of an item is a text and the cursor a time"),
        (LaggingOrders, [5], "LaggingOrders.since: the value of an item is a number; write the lag as a number"),
        (LaggingOrders, ["a"], "LaggingOrders.since: the value of an item is a text; remove the lag"),
        (
            NumberedOrders,
            ["2026-01-01T00:00:00Z"],
            'NumberedOrders.since: the value of an item is a time; write the lag as a duration like "5m"',
        ),
    ],
)
def test_item_whose_value_cannot_be_used_fails_the_poll(kind: type[Orders], values: list[Any], reason: str) -> None:
    run = polled(kind(), [row(n, value) for n, value in enumerate(values)])
    assert run.outcomes == ["failed"]
    assert reason in run.book.logged("poll failed")[0]["reason"]
    assert "traceback" not in run.book.text
    assert len(run.events) == len(values) - 1


@pytest.mark.parametrize("data", [None, "text", b"bytes", {"order": [1]}, {"order.at": 1}], ids=repr)
def test_data_without_the_path_fails_the_poll(data: Any) -> None:
    class Odd(Orders):
        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            self.next_rows()
            return [Event(type="t", id="a", data=data)]

    assert polled(Odd(), []).outcomes == ["failed"]


@pytest.mark.parametrize("path", ["", ".", "a..b", ".a", "a.", 5])
def test_path_without_keys_is_refused(path: Any) -> None:
    with pytest.raises(TypeError, match=r'write the keys to a value, like "updated_at" or "order.updated_at"'):
        Incremental(path)


@pytest.mark.parametrize("lag", ["5 minutes", "", "0s", "-5m", 0, -1, True, float("nan"), float("inf"), b"5m"])
def test_invalid_lag_is_refused(lag: Any) -> None:
    with pytest.raises(TypeError, match=r'write a duration like "5m"'):
        Incremental("at", lag=lag)


@pytest.mark.parametrize("base", [Timer, Source])
def test_cursor_is_refused_in_a_kind_that_does_not_poll(base: type[Source]) -> None:
    with pytest.raises(TypeError, match=r"Odd\.since is an Incremental, which works only in a Poller; remove it"):
        type("Odd", (base,), {"since": Incremental("at"), "__module__": __name__})


def test_cursor_with_a_type_is_refused_because_it_is_no_field() -> None:
    with pytest.raises(TypeError, match=r"an Incremental is no field; write it without a type"):
        type(
            "Odd",
            (Poller,),
            {"since": Incremental("at"), "__annotations__": {"since": Incremental}, "__module__": __name__},
        )


def test_class_variable_is_a_cursor_and_no_field() -> None:
    class Typed(Orders):
        since: ClassVar[Incremental] = Incremental("order.at")

    assert "since" not in Typed.model_fields
    source = Typed()
    polled(source, [row(1, 5)])
    assert source._asked == [None, 5]


def test_fixture_poll_moves_the_cursor_after_each_call(poll: Poll) -> None:
    class Fetched(Poller):
        since = Incremental("at")

        async def poll(self, client: httpx2.AsyncClient) -> Iterable[Event]:
            response = await client.get("http://host/", params={"since": self.since.value or 0})
            return [Event(type="t", id=str(each["at"]), data=each) for each in response.json()]

    source = Fetched()
    assert source.since.value is None
    poll(source, [{"at": 3}, {"at": 2}])
    assert source.since.value == 3
    poll(source, [{"at": 9}], outcomes=[Outcome.GAVE_UP])
    assert source.since.value == 3
    with pytest.raises(PollFailed, match=r"Fetched\.since: an item has no text or number"):
        poll(source, [{"at": None}])


def test_fixture_run_moves_the_cursor_between_polls(run: RunFixture) -> None:
    source = Orders()
    source._polls, source._asked = [[row(1, 5)], [row(2, 6)], []], []
    assert [event.id for event in run(source, ticks=2)] == ["1", "2"]
    assert source._asked == [None, 5]
