"""What a source yields, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Event:
    """One thing that happened. The runtime fills ``id`` and ``time`` only where the source left them out.

    ``data`` is sent as JSON; ``bytes`` and ``str`` are sent as they are (``content_type``, else
    ``application/octet-stream`` and ``text/plain``; ``""``: none). ``source``: only for events that somebody else made,
    which get no time they have not.
    ``patience_s``: how long the sink is tried, where its policy would take longer. ``returns``: whoever brought it is
    told what became of it, so one that is not delivered is not lost.
    """

    type: str
    data: Any = None
    id: str | None = None
    time: datetime | None = None
    subject: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    dataschema: str | None = None
    source: str | None = None
    patience_s: float | None = None
    returns: bool = False


class Outcome(Enum):
    """What became of an event; the runtime sends it back into the generator that yielded it."""

    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"


class EventType(str):
    """A CloudEvents ``type``, with what a registry of event types shows beside it.

    ``schema``: a URI of the data's schema, or the JSON schema itself.
    """

    __slots__ = ("description", "schema")
    description: str
    schema: str | Mapping[str, Any]

    def __new__(cls, type: str, description: str = "", schema: str | Mapping[str, Any] = "") -> EventType:
        self = super().__new__(cls, type)
        self.description = description
        self.schema = schema
        return self
