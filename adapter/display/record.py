"""What the page shows of one request: a part of the event that is limited in size, and its answer. Pure."""

from __future__ import annotations

import codecs
import json
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapter.cloudevents.attributes import ReceivedEvent, is_json
from adapter.contract.formats import Json, printable
from adapter.display.text import dead_letter_note

VALUE_LENGTH = 1000  # characters of one attribute
ATTRIBUTES_LENGTH = 16 * 1024  # characters of all attributes, with their names
DATA_SIZE = 32 * 1024  # bytes of data
BINARY_SIZE = 3 * 1024  # bytes of data that is not text
RECORD_SIZE = 1024  # bytes of the objects of a record, beside their text


@dataclass(frozen=True, slots=True)
class Record:
    """``number`` counts the requests from 1. ``status`` is None if there was no answer."""

    number: int
    received: datetime
    status: int | None
    attributes: dict[str, Json] = field(default_factory=dict)
    data: bytes | None = None  # its first bytes
    data_size: int = 0  # of all its bytes
    content_type: str = ""
    cut: dict[str, int] = field(default_factory=dict)  # attributes that are not whole -> their length in characters
    left_out: int = 0  # attributes that are not shown at all
    dead_letter: str = ""  # which sink did not accept it, and why
    problem: str = ""  # why the request is no CloudEvent

    @property
    def is_failed(self) -> bool:
        return self.status is None or not 200 <= self.status < 300

    @property
    def size(self) -> int:
        """About so many bytes of memory."""
        text = sum(len(name) + len(str(value)) for name, value in self.attributes.items())
        return RECORD_SIZE + text + len(self.data or b"") + len(self.dead_letter) + len(self.problem)


def event_record(
    number: int, received: datetime, status: int | None, event: ReceivedEvent, shown: dict[str, Json]
) -> Record:
    """``shown`` is the event as :func:`shown_event` gives it."""
    attributes, cut, left = {}, {}, ATTRIBUTES_LENGTH
    for name, value in {**event.attributes, **event.extensions}.items():
        room = min(VALUE_LENGTH, left - len(name))
        if room <= 0:
            continue
        if isinstance(value, str) and len(value) > room:
            cut[name], value = len(value), value[:room]
        attributes[name] = value
        left -= len(name) + len(str(value))
    return Record(
        number,
        received,
        status,
        attributes,
        None if event.data is None else event.data[:DATA_SIZE],
        len(event.data or b""),
        event.content_type,
        cut,
        len(event.attributes) + len(event.extensions) - len(attributes),
        dead_letter_note(shown).strip().removeprefix("dead letter: ")[:VALUE_LENGTH],
    )


def refused_record(number: int, received: datetime, reason: str) -> Record:
    """A request that is not a CloudEvent. Its answer is 400."""
    return Record(number, received, 400, problem=printable(reason)[:VALUE_LENGTH])


def as_message(record: Record) -> dict[str, Any]:
    """The JSON object that the page gets."""
    return {
        "n": record.number,
        "at": record.received.isoformat(timespec="milliseconds"),
        "status": record.status,
        "attributes": record.attributes,
        "data": _data(record),
        "cut": record.cut,
        "leftOut": record.left_out,
        "deadLetter": record.dead_letter,
        "problem": record.problem,
    }


def _data(record: Record) -> dict[str, Any] | None:
    """``kind`` is json, text or base64. ``shown`` of the ``size`` bytes are in ``text``."""
    if record.data is None:
        return None
    whole = len(record.data) == record.data_size
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(record.data, final=whole)
        kind, shown = "json" if is_json(record.content_type) else "text", len(record.data)
    except UnicodeDecodeError:
        start = record.data[:BINARY_SIZE]
        text, kind, shown = b64encode(start).decode(), "base64", len(start)
    return {"kind": kind, "text": text, "size": record.data_size, "shown": shown}


def encode_message(kind: str, value: Json, identity: str = "") -> bytes:
    """One server-sent event. JSON in ASCII has no line break, so the value is one line."""
    name = f"id: {identity}\n" if identity else ""
    return f"{name}event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode("ascii")
