"""A pytest plugin for authors of kinds: fixtures that test a source without a cluster.

pytest loads this module in every test run where the package is installed, so it imports nothing but pytest until a
fixture is used. The fixtures' types are for annotations: ``def test_…(run: Run, sink: Sink) -> None``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from adapter.model.clock import Clock
    from adapter.model.event import Event, Outcome
    from adapter.model.source import Source
    from adapter.testing.clock import VirtualClock
    from adapter.testing.sink import RESET, Reply, Sink

__all__ = ["RESET", "Deliver", "Poll", "Receive", "Reply", "Run", "Sink", "VirtualClock"]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from adapter.testing.clock import VirtualClock
    from adapter.testing.sink import RESET, Reply, Sink

    return {"RESET": RESET, "Reply": Reply, "Sink": Sink, "VirtualClock": VirtualClock}[name]


class Run(Protocol):
    def __call__(
        self,
        source: Source,
        ticks: int = 3,
        *,
        outcomes: Sequence[Outcome] = (),
        clock: Clock | None = None,
        created: datetime | None = None,
        deadline_s: float = 10,
    ) -> list[Event]: ...


class Deliver(Protocol):
    def __call__(
        self,
        source: Source,
        sink: Sink,
        ticks: int = 3,
        *,
        delivery: Mapping[str, Any] | None = None,
        dead_letters: Sink | None = None,
        clock: Clock | None = None,
        deadline_s: float = 30,
    ) -> list[Outcome]: ...


class Poll(Protocol):
    def __call__(self, source: Source, answer: Any) -> list[Event]: ...


class Receive(Protocol):
    def __call__(
        self,
        source: Source,
        body: bytes | str | Any = b"",
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        path: str = "/",
    ) -> Event: ...


@pytest.fixture
def run() -> Run:
    """``run(source, ticks=3)`` returns the first events of a source. Its sleeps advance a virtual clock.

    ``outcomes`` are sent back for the events in turn, and after that ``DELIVERED``. A source gets an outcome when its
    next event is pulled, so it does not get the last one. ``deadline_s`` is real time.
    """
    from adapter.testing.harness import run

    return run


@pytest.fixture
def deliver() -> Deliver:
    """``deliver(source, sink, ticks=3)`` delivers the first events as an adapter does, and returns their outcomes.

    ``delivery`` is ``spec.delivery``. Waits between attempts advance a virtual clock; timeouts are real.
    """
    from adapter.testing.harness import deliver

    return deliver


@pytest.fixture
def poll() -> Poll:
    """``poll(source, answer)`` returns the events that a Poller makes of a response: JSON data, or a Response."""
    from adapter.testing.harness import poll

    return poll


@pytest.fixture
def receive() -> Receive:
    """``receive(source, body)`` returns the event that a Listener makes of a request: bytes, text, or JSON data."""
    from adapter.testing.harness import receive

    return receive


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A sink on a local port that records events. Its responses can be scripted: see :class:`Sink`."""
    from adapter.testing.sink import Sink

    with Sink() as sink:
        yield sink
