"""Events that sources make, and the outcomes of their delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Event:
    """One CloudEvent 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).

    ``data`` is sent as JSON, but ``bytes`` and ``str`` are sent unchanged. ``content_type`` is the media type of the
    data. Its default is ``application/octet-stream`` for ``bytes``, ``text/plain; charset=utf-8`` for ``str`` and
    ``application/json`` for other values; ``""`` sends none.

    The attributes are checked when the event is sent. An invalid event is logged, and its outcome is ``REJECTED``.
    """

    type: str  # CloudEvents type, like com.example.order.created
    data: Any = None  # JSON value, bytes or str
    id: str | None = None  # None: the adapter creates a unique id
    time: datetime | None = None  # with a time zone; None: the adapter sets the current time, unless source is set
    subject: str | None = None  # CloudEvents subject; not empty
    extensions: Mapping[str, str] = field(default_factory=dict)  # names: 1 to 20 lower-case letters and digits
    content_type: str | None = None  # media type of the data
    dataschema: str | None = None  # URI of the schema of the data
    source: str | None = None  # CloudEvents source; set it only for events that another system created


def with_defaults(event: Event, id: str, time: datetime | None) -> Event:
    """The event, with this id and this time if it has none."""
    return replace(event, id=id if event.id is None else event.id, time=time if event.time is None else event.time)


class Outcome(Enum):
    """The result of a delivery. The ``yield`` of the event in ``Source.events()`` returns it."""

    DELIVERED = "delivered"  # the sink accepted the event
    DEAD_LETTERED = "dead_lettered"  # the dead letter sink accepted it
    REJECTED = "rejected"  # the event is invalid, or the sink refused it permanently; the adapter does not retry it
    GAVE_UP = "gave_up"  # all retries failed, or the time for the delivery is over


class EventType(str):
    """A CloudEvents ``type`` with its description and schema, for the annotation ``registry.knative.dev/eventTypes``.

    ``schema`` is the URI of a JSON schema, or the JSON schema itself as a mapping.
    """

    __slots__ = ("description", "schema")
    description: str  # one sentence; empty if there is none
    schema: str | Mapping[str, Any]  # empty if there is none

    def __new__(cls, type: str, description: str = "", schema: str | Mapping[str, Any] = "") -> EventType:
        self = super().__new__(cls, type)
        self.description = description
        self.schema = schema
        return self
