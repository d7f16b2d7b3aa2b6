"""Items that a poller cannot send, as the tables of docs/delivery.md say."""

from __future__ import annotations

from typing import ClassVar

from adapter.sdk import Client, Event, Incremental, Outcome, Poller
from adapter.testing import Run as RunSource
from tests.unit.adapter.polling.polling_run import Run, Scripted


def test_item_that_leaves_the_list_before_the_sink_accepts_it_is_not_sent_again() -> None:
    polled = Run(Scripted(steps=[["a", "b"], ["b", "c"]]), lambda event: answers.pop(0))
    answers = [Outcome.GAVE_UP, Outcome.DELIVERED, Outcome.DELIVERED]
    assert polled.ids() == ["a", "b", "c"]  # "a" was not accepted, and the second poll does not find it


class DelayedSource(Poller):
    """The upstream lists the numbers from ``since`` on. Some appear later than greater ones."""

    listed: ClassVar[list[list[int]]] = [[10], [10, 8, 6], [10, 8, 6, 11]]
    since = Incremental("number", lag=3)

    async def poll(self, client: Client) -> list[Event]:
        polls.append(1)
        numbers = self.listed[min(len(polls), 3) - 1]
        return [Event("t", {"number": n}, id=str(n)) for n in numbers if n >= (self.since.value or 0)]


polls: list[int] = []  # one entry for each poll


def test_item_that_appears_later_than_the_lag_is_not_sent(run: RunSource) -> None:
    assert [event.id for event in run(DelayedSource(), 3)] == ["10", "8", "11"]  # 6 is less than 10 - 3
