"""The trace of an event: W3C Trace Context, in the CloudEvents extensions ``traceparent`` and ``tracestate``. Pure.

https://www.w3.org/TR/trace-context/ and
https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md

All attempts, replicas and restarts compute the same ids: a hash of the event's source and id. Events of other systems,
which have their own ``source``, keep their extensions and get none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from adapter.contract.formats import is_header_text, quoted
from adapter.model.event import Event

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
SAMPLED = 1
STATE_LENGTH, STATE_MEMBERS = 512, 32
_IDS = "(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_OWN = re.compile(f"00-{_IDS}")
_RECEIVED = re.compile(f"(00-{_IDS}|(?!00|ff)[0-9a-f]{{2}}-{_IDS.replace('?P<', '?P<later_')}(-.*)?)")  # §3.2.4
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{1,256}", re.ASCII)


class Continued(str):
    """The ``traceparent`` of an event whose trace another system began. ``parent``: the span of that system."""

    __slots__ = ("parent",)
    parent: str  # a traceparent

    def __new__(cls, traceparent: str, parent: str) -> Continued:
        self = super().__new__(cls, traceparent)
        self.parent = parent
        return self


def traceparent_of(event: Event, source: str) -> str:
    """The ``traceparent`` that the event is sent with; empty for an event of another system that has none.

    ``source``: the CloudEvents source of the adapter.
    """
    if event.source is not None or TRACEPARENT in event.extensions:
        return event.extensions.get(TRACEPARENT, "")
    trace, span = _ids(source, event)
    return f"00-{trace}-{span}-01"


def continued(event: Event, source: str, headers: Mapping[str, str]) -> Event:
    """The event in the trace of the request that it was made of. ``event`` has its id.

    It stays the same if the request has no valid ``traceparent``, if the event has its own, and if it is an event of
    another system. ``headers``: names in lower case.
    """
    received = _received(headers.get(TRACEPARENT, ""))
    if received is None or event.source is not None or TRACEPARENT in event.extensions:
        return event
    trace, span, flags = received
    value = Continued(f"00-{trace}-{_ids(source, event)[1]}-{flags}", f"00-{trace}-{span}-{flags}")
    state = headers.get(TRACESTATE, "")
    kept = {TRACESTATE: state} if is_tracestate(state) else {}
    return replace(event, extensions={**event.extensions, TRACEPARENT: value, **kept})


def trace_fields(traceparent: str) -> dict[str, str]:
    """``trace_id`` for a line of the log; none if ``traceparent`` is not valid."""
    found = _received(traceparent)
    return {"trace_id": found[0]} if found else {}


def trace_problem(extensions: Mapping[str, str]) -> str | None:
    """What is wrong with ``traceparent`` or ``tracestate`` of an event that a source made, or None."""
    if (value := extensions.get(TRACEPARENT)) is not None and not _OWN.fullmatch(value):
        return f"extension {TRACEPARENT} is {quoted(value)}; write 00-TRACE-SPAN-01, with 32 and 16 digits of 0-9a-f"
    if (state := extensions.get(TRACESTATE)) is not None and not is_tracestate(state):
        return f"extension {TRACESTATE} is {quoted(state)}; write at most {STATE_LENGTH} characters, like vendor=value"
    return None


def is_tracestate(text: str) -> bool:
    """Whether the text is a list of at most 32 members (§3.3). It may be a header without encoding."""
    if len(text) > STATE_LENGTH or not is_header_text(text):
        return False
    members = text.split(",")
    return len(members) <= STATE_MEMBERS and all(_MEMBER.fullmatch(member.strip()) for member in members)


def ids_of(digest: str) -> tuple[str, str]:
    """Trace id and span id from 24 bytes, in hexadecimal digits. An id of zeros is invalid, so it becomes 1."""
    trace, span = digest[:32], digest[32:48]
    return f"{1:032x}" if trace == _NO_TRACE else trace, f"{1:016x}" if span == _NO_SPAN else span


def _ids(source: str, event: Event) -> tuple[str, str]:
    return ids_of(sha256(f"{source}\0{event.id}".encode("utf-8", "replace")).hexdigest())


def _received(text: str) -> tuple[str, str, str] | None:
    """Trace id, span id and flags. Of a later version, the part that version 00 has, too (§4.3).

    Only the flags are kept that this version knows: sampled, and that the trace id is random.
    """
    found = _RECEIVED.fullmatch(text)
    if found is None:
        return None
    trace, span, flags = (found[name] or found[f"later_{name}"] for name in ("trace", "span", "flags"))
    return trace, span, f"{int(flags, 16) & 3:02x}"
