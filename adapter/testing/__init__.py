"""A pytest plugin for authors of kinds: fixtures that test a source without a cluster.

pytest loads this module in every test run where the package is installed, so it imports nothing but pytest until a
fixture is used. The fixtures' types are for annotations: ``def test_…(run: Run, sink: Sink) -> None``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from adapter.model.clock import Clock
    from adapter.model.event import Event, Outcome
    from adapter.model.source import Source
    from adapter.serving.messages import Request
    from adapter.testing.checkpoints import Checkpoints
    from adapter.testing.clock import VirtualClock
    from adapter.testing.sink import RESET, Sink, SinkReply

__all__ = ["RESET", "Checkpoints", "Deliver", "Poll", "Receive", "Run", "Sink", "SinkReply", "VirtualClock"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from adapter.testing.checkpoints import Checkpoints
    from adapter.testing.clock import VirtualClock
    from adapter.testing.sink import RESET, Sink, SinkReply

    public = (Checkpoints, Sink, SinkReply, VirtualClock)
    return RESET if name == "RESET" else {each.__name__: each for each in public}[name]


class Run(Protocol):
    def __call__(
        self,
        source: Source,
        ticks: int = 3,
        *,
        outcomes: Sequence[Outcome] = (),
        clock: Clock | None = None,
        created: datetime | None = None,
        deadline_s: float = 30,
        checkpoint: Checkpoints | None = None,
        cut: bool = False,
        unsaved: int = 0,
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
        checkpoint: Checkpoints | None = None,
        cut: bool = False,
        unsaved: int = 0,
    ) -> list[Outcome]: ...


class Poll(Protocol):
    def __call__(self, source: Source, answer: Any, *, outcomes: Sequence[Outcome] = ()) -> list[Event]: ...


Result = TypeVar("Result", covariant=True)


class Receiver(Protocol[Result]):
    """A Listener: ``receive()`` of the fixture returns what its ``receive()`` returns."""

    def receive(self, request: Request, /) -> Awaitable[Result]: ...


class Receive(Protocol):
    def __call__(
        self,
        source: Receiver[Result],
        body: bytes | str | Any = b"",
        *,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        path: str | None = None,
        query: str = "",
        clock: Clock | None = None,
    ) -> Result: ...


@pytest.fixture
def run() -> Run:
    """``run(source, ticks=3)`` returns the first ``ticks`` events of a source. Its sleeps advance a virtual clock.

    Each ``yield`` returns the next one of ``outcomes``, and after them ``DELIVERED``. So does the last one: the code
    after it runs until the next ``yield``, until it sleeps on the clock, or for at most 1 s of real time. Then the
    source is closed. ``clock``: default a :class:`VirtualClock`. ``created``: the ``creationTimestamp`` of the source,
    default 2026-01-01 UTC. ``deadline_s``: seconds of real time.

    ``checkpoint``: a :class:`Checkpoints`, so that the next call with it resumes the source. The end of a call is an
    ordered stop: all that the source has saved is stored. With ``cut=True`` it is a kill: the last event was sent, the
    source does not get its outcome, and nothing more is saved. The last ``unsaved`` changes are then not stored,
    either: an adapter stores changes at most every 100 ms.

    ``AssertionError`` for an invalid event, and if the events end early or take longer than ``deadline_s``. The message
    then has the last reason that the source gave to ``set_unready()``. Exceptions of the source are raised unchanged.
    """
    from adapter.testing.harness import run

    return run


@pytest.fixture
def deliver() -> Deliver:
    """``deliver(source, sink, ticks=3)`` delivers the first ``ticks`` events, and returns a list of their outcomes.

    It uses the delivery code of the adapter. ``delivery``: ``spec.delivery`` as a mapping, like ``{"retry": 1}``; the
    fields and defaults are those of the CRD. ``dead_letters``: a second :class:`Sink`, the dead letter sink. Waits
    between attempts advance a virtual clock; timeouts are real. The source gets each outcome, as in the fixture
    ``run``. ``checkpoint``, ``cut``, ``unsaved`` and the errors are those of ``run``, too.
    """
    from adapter.testing.harness import deliver

    return deliver


@pytest.fixture
def poll() -> Poll:
    """``poll(source, answer)`` calls ``poll()`` of a Poller once, and returns the list of its events.

    ``answer`` is the response to each request: an ``httpx2.Response``, or a value that is sent as JSON with status 200.
    If ``poll()`` is a generator, each ``yield`` returns the next one of ``outcomes``, and after them ``DELIVERED``. At
    ``GAVE_UP`` the generator is closed, as in an adapter. Each ``Incremental`` of the source moves as in an adapter.
    ``AssertionError`` for an event that is invalid or has no id, and after 10 s. Exceptions of the source are raised
    unchanged.
    """
    from adapter.testing.calls import poll

    return poll


@pytest.fixture
def receive() -> Receive:
    """``receive(source, body)`` sends one request to a Listener, and returns what its ``receive()`` returns.

    ``body``: bytes, a text, or a value that is sent as JSON. ``path`` and ``method``: default those of the source.
    ``request.received`` is the time of ``clock``; default a :class:`VirtualClock`. As in an adapter, ``Refusal`` with
    404 or 405 for another path or method. ``AssertionError`` for an invalid event or result, and after 10 s. Exceptions
    of the source, like ``Refusal``, are raised unchanged.
    """
    from adapter.testing.calls import receive

    return receive


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A :class:`Sink`: an HTTP server on 127.0.0.1 that records events. ``sink.answer(503)`` makes it fail."""
    from adapter.testing.sink import Sink

    with Sink() as sink:
        yield sink
