"""The trace of an event: a hash of its source and id, or the trace of the request that it was made of."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.model.traces import Continued, continued, ids_of, is_tracestate, trace_fields, traceparent_of
from adapter.sdk import Event

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{SPAN}-01"
EVENT = Event(type="t", id="1")


def of_request(traceparent: str, event: Event = EVENT, **headers: str) -> Event:
    return continued(event, "/s", {"traceparent": traceparent, **headers})


def test_traceparent_is_a_hash_of_source_and_id() -> None:
    digest = hashlib.sha256(b"/s\x001").digest()
    assert traceparent_of(EVENT, "/s") == f"00-{digest[:16].hex()}-{digest[16:24].hex()}-01"


@given(st.text(), st.text())
def test_any_source_and_id_have_a_valid_traceparent(source: str, id: str) -> None:
    traceparent = traceparent_of(Event(type="t", id=id), source)
    assert trace_fields(traceparent) == {"trace_id": traceparent[3:35]}


def test_another_source_or_id_is_another_trace() -> None:
    events = [("/s", "1"), ("/s", "2"), ("/", "s1"), ("/s1", "")]
    assert len({traceparent_of(Event(type="t", id=id), source)[3:35] for source, id in events}) == 4


def test_ids_are_never_zero() -> None:
    assert ids_of("0" * 48) == ("0" * 31 + "1", "0" * 15 + "1")
    assert ids_of("0" * 31 + "2" + "0" * 15 + "30") == ("0" * 31 + "2", "0" * 15 + "3")


def test_event_of_another_system_gets_no_trace() -> None:
    event = Event(type="t", id="1", source="/theirs")
    assert traceparent_of(event, "/s") == ""
    assert of_request(CALLER, event) is event


def test_trace_of_a_caller_is_continued_with_a_span_of_the_event() -> None:
    event = of_request(CALLER, tracestate="vendor=a b, other@v=1")
    own = traceparent_of(EVENT, "/s")
    assert event.extensions == {
        "traceparent": f"00-{TRACE}-{own[36:52]}-01",
        "tracestate": "vendor=a b, other@v=1",
    }
    value = event.extensions["traceparent"]
    assert isinstance(value, Continued)
    assert value.parent == CALLER
    assert of_request(CALLER).extensions["traceparent"] == value  # a repeated request has the same span


def test_trace_that_the_source_has_set_is_kept() -> None:
    event = Event(type="t", id="1", extensions={"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"})
    assert of_request(CALLER, event) is event


@pytest.mark.parametrize(
    ("received", "flags"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-00", "00", id="not-sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", "03", id="random"),
        pytest.param(f"00-{TRACE}-{SPAN}-ff", "03", id="unknown-flags"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", "01", id="later-version"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", "01", id="longer-later-version"),
    ],
)
def test_traceparent_of_any_version_is_continued_as_version_00(received: str, flags: str) -> None:
    value = of_request(received).extensions["traceparent"]
    assert (value[:36], value[52:]) == (f"00-{TRACE}-", f"-{flags}")


INVALID = {
    "empty": "",
    "other-text": "x",
    "zero-trace": f"00-{'0' * 32}-{SPAN}-01",
    "zero-span": f"00-{TRACE}-{'0' * 16}-01",
    "version-ff": f"ff-{TRACE}-{SPAN}-01",
    "longer-version-00": f"00-{TRACE}-{SPAN}-01-x",
    "longer-without-dash": f"01-{TRACE}-{SPAN}-01x",
    "capitals": f"00-{TRACE.upper()}-{SPAN}-01",
    "short": f"00-{TRACE[1:]}-{SPAN}-01",
    "line-break": f"00-{TRACE}-{SPAN}-01\n",
    "line-break-in-later-version": f"01-{TRACE}-{SPAN}-01-\r\nx",
    "spaces": f" 00-{TRACE}-{SPAN}-01",
    "other-digits": f"00-{TRACE[:-1]}\u0663-{SPAN}-01",
    "two": f"{CALLER}, {CALLER}",
    "long": "0" * 100_000,
}


@pytest.mark.parametrize("received", INVALID.values(), ids=INVALID)
def test_invalid_traceparent_of_a_caller_begins_a_new_trace(received: str) -> None:
    assert of_request(received, tracestate="vendor=1") is EVENT
    assert trace_fields(received) == {}


@pytest.mark.parametrize(
    ("state", "valid"),
    [
        pytest.param("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", True, id="specification-example"),
        pytest.param('a=!"#$%&()*+-./:;<>?@[]^_`{|}~', True, id="all-characters"),
        pytest.param("fw529a3039@dt=FfAnything,az@b=1", True, id="tenants"),
        pytest.param("a=" + "x" * 256, True, id="longest-value"),
        pytest.param(",".join(f"k{n}=1" for n in range(32)), True, id="32-members"),
        pytest.param(",".join(f"k{n}=1" for n in range(33)), False, id="33-members"),
        pytest.param("a=" + "x" * 257, False, id="longer-value"),
        pytest.param(",".join([f"a={'x' * 250}"] * 3), False, id="more-than-512-characters"),
        pytest.param("", False, id="empty"),
        pytest.param("a", False, id="no-value"),
        pytest.param("A=1", False, id="capitals"),
        pytest.param("a=1\r\nX: y", False, id="line-break"),
        pytest.param("a=grün", False, id="not-ascii"),
        pytest.param("a=1\0", False, id="zero"),
    ],
)
def test_only_a_valid_tracestate_is_passed_on(state: str, valid: bool) -> None:
    assert is_tracestate(state) is valid
    extensions: dict[str, Any] = dict(of_request(CALLER, tracestate=state).extensions)
    assert extensions.get("tracestate") == (state if valid else None)
