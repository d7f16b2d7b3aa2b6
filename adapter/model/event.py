"""Events that sources make, and the outcomes of their delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Event:
    """One CloudEvent. The runtime sets ``id`` and ``time`` if the source does not.

    ``data`` is sent as JSON, but ``bytes`` and ``str`` are sent unchanged. ``content_type`` is their media type; the
    default is ``application/octet-stream`` for ``bytes`` and ``text/plain`` for ``str``, and ``""`` sends none.
    ``source`` is for events that another system made; the runtime adds no ``time`` to these.
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


class Outcome(Enum):
    """The result of a delivery. The runtime sends it into the generator that yielded the event."""

    DELIVERED = "delivered"  # the sink accepted the event
    DEAD_LETTERED = "dead_lettered"  # the dead letter sink accepted it
    REJECTED = "rejected"  # the event is invalid, or the sink refused it permanently
    GAVE_UP = "gave_up"  # no attempt succeeded in time


class EventType(str):
    """A CloudEvents ``type`` with the description and schema that a registry of event types shows.

    ``schema`` is the URI of a JSON schema, or the JSON schema itself.
    """

    __slots__ = ("description", "schema")
    description: str
    schema: str | Mapping[str, Any]

    def __new__(cls, type: str, description: str = "", schema: str | Mapping[str, Any] = "") -> EventType:
        self = super().__new__(cls, type)
        self.description = description
        self.schema = schema
        return self
