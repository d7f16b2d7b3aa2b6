"""Which outcomes the ``yield`` of a ``poll()`` returns, and which code of the ``poll()`` runs after a delivery."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import httpx2
import pytest

from adapter.sdk import Event, Outcome, Poller
from adapter.testing import Deliver, Sink
from tests.unit.adapter.polling.polling_run import Run

DELIVERED, DEAD_LETTERED, REJECTED, GAVE_UP = Outcome


class Rows(Poller):
    """Yields the rows from its cursor on, and moves it after each row. Records the outcomes that ``yield`` returns."""

    _rows: list[str] = ["a", "b", "c"]
    _cursor: int = 0
    _outcomes: list[Outcome | None] = []
    _ends: list[int] = []  # the cursor at the end of each poll
    _polls: int = 2  # how many are left
    _skips: bool = False

    async def poll(self, client: httpx2.AsyncClient) -> AsyncGenerator[Event, Outcome | None]:
        self.count()
        try:
            for row in self._rows[self._cursor :]:
                self._outcomes.append((yield Event(type="t", id=row)))
                self._cursor += 1
        finally:
            self._ends.append(self._cursor)

    def count(self) -> None:
        if not self._polls:
            raise KeyboardInterrupt
        self._polls -= 1

    def skip_existing(self) -> bool:
        return self._skips


class Listing(Rows):
    """Has no cursor: each poll lists all rows."""

    async def poll(self, client: httpx2.AsyncClient) -> AsyncGenerator[Event, Outcome | None]:
        self.count()
        for row in self._rows:
            self._outcomes.append((yield Event(type="t", id=row)))


class PlainGenerator(Listing):
    def poll(self, client: httpx2.AsyncClient) -> Iterator[Event]:  # type: ignore[override]  # not async
        self.count()
        try:
            for row in self._rows:
                self._outcomes.append((yield Event(type="t", id=row)))
        finally:
            self._ends.append(len(self._outcomes))


class AwaitedGenerator(PlainGenerator):
    async def poll(self, client: httpx2.AsyncClient) -> Iterator[Event]:  # type: ignore[override]  # not a generator
        return super().poll(client)


def polled(source: Rows, *outcomes: Outcome) -> list[str | None]:
    """The ids of the events that are sent. ``outcomes`` are theirs, and after that ``DELIVERED``."""
    queue = list(outcomes)
    return Run(source, lambda event: queue.pop(0) if queue else DELIVERED).ids()


@pytest.mark.parametrize("make", [Listing, PlainGenerator, AwaitedGenerator])
def test_yield_returns_the_outcome_of_its_event(make: Callable[[], Rows]) -> None:
    source = make()
    source._polls = 1
    assert polled(source, DELIVERED, DEAD_LETTERED, REJECTED) == ["a", "b", "c"]
    assert source._outcomes == [DELIVERED, DEAD_LETTERED, REJECTED]


@pytest.mark.parametrize("make", [Listing, PlainGenerator, AwaitedGenerator])
def test_yield_of_an_item_that_is_not_sent_again_returns_its_earlier_outcome(make: Callable[[], Rows]) -> None:
    source = make()
    assert polled(source, DELIVERED, DEAD_LETTERED, REJECTED) == ["a", "b", "c"]
    assert source._outcomes == [DELIVERED, DEAD_LETTERED, REJECTED] * 2


def test_yield_returns_none_for_an_item_that_skip_existing_leaves_out() -> None:
    source = Listing()
    source._skips, source._rows = True, ["a"]
    assert polled(source) == []
    assert source._outcomes == [None, None]


def test_code_after_a_yield_does_not_run_for_an_event_that_the_sink_did_not_accept() -> None:
    source = Rows()
    assert polled(source, DELIVERED, GAVE_UP) == ["a", "b", "b", "c"]
    assert source._outcomes == [DELIVERED] * 3
    assert source._ends == [1, 3]


def test_plain_generator_is_closed_at_an_event_that_the_sink_did_not_accept() -> None:
    source = PlainGenerator()
    assert polled(source, DELIVERED, GAVE_UP) == ["a", "b", "b", "c"]
    assert source._outcomes == [DELIVERED] * 4  # the outcome of "a" is returned again
    assert source._ends == [1, 4]


def test_poll_can_stop_before_its_cursor_passes_a_refused_item() -> None:
    class Stops(Rows):
        async def poll(self, client: httpx2.AsyncClient) -> AsyncGenerator[Event, Outcome | None]:
            self.count()
            for row in self._rows[self._cursor :]:
                outcome = yield Event(type="t", id=row)
                if outcome is REJECTED:
                    return
                self._cursor += 1

    source = Stops()
    assert polled(source, DELIVERED, REJECTED) == ["a", "b"]
    assert source._cursor == 1


def test_refused_item_that_a_poll_keeps_is_sent_again() -> None:
    class Keeps(Rows):
        def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
            return True

        async def poll(self, client: httpx2.AsyncClient) -> AsyncGenerator[Event, Outcome | None]:
            self.count()
            for row in self._rows[self._cursor :]:
                if (yield Event(type="t", id=row)) is REJECTED:
                    return
                self._cursor += 1

    source = Keeps()
    assert polled(source, DELIVERED, REJECTED) == ["a", "b", "b", "c"]
    assert source._cursor == 3


def test_yield_returns_rejected_after_a_sink_answered_400(deliver: Deliver, sink: Sink) -> None:
    source = Listing()
    sink.answer(202, 400)
    assert deliver(source, sink, ticks=3) == [DELIVERED, REJECTED, DELIVERED]
    assert source._outcomes[:2] == [DELIVERED, REJECTED]


def test_exception_after_a_yield_fails_the_poll_and_the_event_is_not_sent_again() -> None:
    class Fails(Rows):
        async def poll(self, client: httpx2.AsyncClient) -> AsyncGenerator[Event, Outcome | None]:
            self.count()
            for row in self._rows:
                self._outcomes.append((yield Event(type="t", id=row)))
                if len(self._outcomes) == 1:
                    raise OSError("cannot save the cursor")

    source = Fails()
    run = Run(source)
    assert run.ids() == ["a", "b", "c"]
    assert run.outcomes == ["failed", "ok"]
    assert source._outcomes == [DELIVERED] * 4  # the outcome of "a" is returned again, so that the cursor can be saved


@pytest.mark.parametrize("made", [[None], [0], [""]], ids=repr)
def test_item_without_a_truth_value_does_not_end_a_poll(made: Any) -> None:
    class Wrong(Rows):
        def poll(self, client: httpx2.AsyncClient) -> Any:
            self.count()
            return made

    with pytest.raises(TypeError, match=r"Wrong\.poll\(\) found a"):
        polled(Wrong())
