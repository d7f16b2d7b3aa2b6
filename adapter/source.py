"""What a source is: a pydantic class whose fields are the kind's ``spec`` and whose generator yields events.

An author subclasses :class:`~adapter.timer.Timer` (or Poller, Listener), or :class:`Source` itself for anything else.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Event:
    """One thing that happened. The runtime fills ``id`` and ``time`` only where the source left them out.

    ``data`` is sent as JSON; ``bytes`` and ``str`` are sent as they are (``application/octet-stream``, ``text/plain``).
    ``deadline``: no further attempt to deliver starts at or after it; None: it is tried until the sink answers.
    """

    type: str
    data: Any = None
    id: str | None = None
    time: datetime | None = None
    subject: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    deadline: datetime | None = None


class Outcome(Enum):
    """What became of an event; the runtime sends it back into the generator that yielded it."""

    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"


class Clock(Protocol):
    """Wall-clock time; virtual in tests."""

    def now(self) -> datetime: ...

    async def sleep_until(self, deadline: datetime) -> None:
        """Lets other tasks run even if ``deadline`` is past: a source that is always late must not starve SIGTERM."""


@dataclass(frozen=True)
class Context:
    """Who this source is, and the clock and log it lives by."""

    source: str
    uid: str
    created: datetime
    clock: Clock
    log: logging.Logger
    missed: Callable[[int], None] = lambda count: None  # counts what should have happened and did not


class Source(BaseModel):
    """Base of every kind: fields are ``spec``, the class docstring is the CRD's description."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    event_types: ClassVar[tuple[str, ...]] = ()

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yield events for ever, or until there are no more; each ``yield`` returns that event's outcome."""
        raise TypeError(f"{type(self).__name__} has no events(); subclass Timer, Poller or Listener, or define it")
