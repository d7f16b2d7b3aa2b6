"""Events that sources make, and the outcomes of their delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Event:
    """One CloudEvent.

    ``data`` is sent as JSON, but ``bytes`` and ``str`` are sent unchanged. ``content_type`` is their media type; the
    default is ``application/octet-stream`` for ``bytes`` and ``text/plain`` for ``str``, and ``""`` sends none.
    """

    type: str  # CloudEvents type
    data: Any = None  # JSON value, bytes or str
    id: str | None = None  # None: the adapter creates a unique id
    time: datetime | None = None  # None: the adapter sets the current time, but not if source is set
    subject: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)  # names: lower-case letters and digits
    content_type: str | None = None  # media type of bytes and str
    dataschema: str | None = None  # URI of a schema
    source: str | None = None  # set it only for events that another system made


def with_defaults(event: Event, id: str, time: datetime | None) -> Event:
    """The event, with this id and this time if it has none."""
    return replace(event, id=id if event.id is None else event.id, time=time if event.time is None else event.time)


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
