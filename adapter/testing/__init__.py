"""A pytest plugin for authors of kinds: what a source's events are, and that they arrive, without a cluster.

Installed with the package, it adds fixtures and nothing else; until one is used it loads nothing but pytest. Their
types are here, for annotations: ``def test_…(run: Run, sink: Sink) -> None``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from adapter.model.clock import Clock
    from adapter.model.event import Event, Outcome
    from adapter.model.source import Source
    from adapter.testing.clock import VirtualClock
    from adapter.testing.sink import RESET, Reply, Sink

__all__ = ["RESET", "Deliver", "Poll", "Receive", "Reply", "Run", "Sink", "VirtualClock"]
_LATER = {"RESET": "sink", "Reply": "sink", "Sink": "sink", "VirtualClock": "clock"}


def __getattr__(name: str) -> Any:
    """Loaded when asked for: every test run of everybody who has this installed imports this module."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


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
    """``run(source, ticks=3)``: the source's first events; its sleeps move a clock instead of waiting.

    ``outcomes``: what is sent back for each event in turn, then DELIVERED. The last event's is not sent: a source gets
    it when the next event is asked for. ``deadline_s`` is real time.
    """
    from adapter.testing.harness import run

    return run


@pytest.fixture
def deliver() -> Deliver:
    """``deliver(source, sink, ticks=3)``: what became of the first events, sent as an adapter sends them.

    Waits between attempts move a clock; one attempt's time-out is real. ``delivery`` is ``spec.delivery``.
    """
    from adapter.testing.harness import deliver

    return deliver


@pytest.fixture
def poll() -> Poll:
    """``poll(source, answer)``: the events a Poller makes of an upstream that answers so: JSON data, or a Response."""
    from adapter.testing.harness import poll

    return poll


@pytest.fixture
def receive() -> Receive:
    """``receive(source, body)``: the event a Listener makes of a request; ``body``: bytes, text, or data to be JSON."""
    from adapter.testing.harness import receive

    return receive


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A sink on this machine that keeps what arrives and answers as told, see :class:`Sink`."""
    from adapter.testing.sink import Sink

    with Sink() as sink:
        yield sink
