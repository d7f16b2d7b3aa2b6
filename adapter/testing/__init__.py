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
    from adapter.testing.sink import RESET, Sink, SinkReply

__all__ = ["RESET", "Deliver", "Poll", "Receive", "Run", "Sink", "SinkReply", "VirtualClock"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from adapter.testing.clock import VirtualClock
    from adapter.testing.sink import RESET, Sink, SinkReply

    return {"RESET": RESET, "SinkReply": SinkReply, "Sink": Sink, "VirtualClock": VirtualClock}[name]


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
    """``run(source, ticks=3)`` returns the first ``ticks`` events of a source. Its sleeps advance a virtual clock.

    ``outcomes`` are sent back for the events in turn, and after that ``DELIVERED``. A source gets an outcome when its
    next event is pulled, so it does not get the last one. ``clock``: default a :class:`VirtualClock`. ``created``: the
    ``creationTimestamp`` of the source, default 2026-01-01 UTC. ``deadline_s``: seconds of real time.

    ``AssertionError`` for an invalid event, and if the events end early or take longer than ``deadline_s``. Exceptions
    of the source are raised unchanged.
    """
    from adapter.testing.harness import run

    return run


@pytest.fixture
def deliver() -> Deliver:
    """``deliver(source, sink, ticks=3)`` delivers the first ``ticks`` events, and returns a list of their outcomes.

    It uses the delivery code of the adapter. ``delivery``: ``spec.delivery`` as a mapping, like ``{"retry": 1}``; the
    fields and defaults are those of the CRD. ``dead_letters``: a second :class:`Sink`, the dead letter sink. Waits
    between attempts advance a virtual clock; timeouts are real. Errors are those of the fixture ``run``.
    """
    from adapter.testing.harness import deliver

    return deliver


@pytest.fixture
def poll() -> Poll:
    """``poll(source, answer)`` calls ``poll()`` of a Poller once, and returns the list of its events.

    ``answer`` is the response to each request: an ``httpx2.Response``, or a value that is sent as JSON with status 200.
    ``AssertionError`` for an invalid event and after 10 s. Exceptions of the source are raised unchanged.
    """
    from adapter.testing.harness import poll

    return poll


@pytest.fixture
def receive() -> Receive:
    """``receive(source, body)`` calls ``receive()`` of a Listener once, and returns its event.

    ``body``: bytes, a text, or a value that is sent as JSON. ``AssertionError`` for an invalid event and after 10 s.
    Exceptions of the source, like ``Refusal``, are raised unchanged.
    """
    from adapter.testing.harness import receive

    return receive


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A :class:`Sink`: an HTTP server on 127.0.0.1 that records events. ``sink.answer(503)`` makes it fail."""
    from adapter.testing.sink import Sink

    with Sink() as sink:
        yield sink
