"""What the official CloudEvents SDK does differently from the adapter's own code.

If a test fails after an upgrade of the SDK, the code that works around this behaviour may be unnecessary.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_structured_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def written(data: Any = b"", **attributes: Any) -> HTTPMessage:
    return to_binary_event(CloudEvent({**REQUIRED, "time": TIME, **attributes}, data))


def binary(**headers: str) -> BaseCloudEvent:
    named = {f"ce-{name}": value for name, value in {**REQUIRED, "time": "2026-01-02T03:04:05Z", **headers}.items()}
    return from_binary_event(HTTPMessage(named, b""))


def structured(members: str) -> BaseCloudEvent:
    """``members``: JSON text, beside the required attributes."""
    text = json.dumps(REQUIRED).removesuffix("}") + f",{members}}}"
    return from_structured_event(HTTPMessage({"content-type": "application/cloudevents+json"}, text.encode()))


# Code in encode.py


def test_sdk_writes_json_with_spaces_and_as_ascii() -> None:
    assert written({"a": "ü"}).body == b'{"a": "\\u00fc"}'


def test_sdk_writes_a_list_as_python_text() -> None:
    assert written([None], datacontenttype="application/json").body == b"[None]"


def test_sdk_fails_on_a_lone_surrogate() -> None:
    with pytest.raises(UnicodeEncodeError):
        written(subject="\ud800")


def test_sdk_writes_a_zone_offset_with_seconds() -> None:
    zone = timezone(timedelta(seconds=30))
    assert written(time=TIME.astimezone(zone)).headers["ce-time"] == "2026-01-02T03:04:35+00:00:30"


def test_sdk_sets_the_time_of_an_event_without_one() -> None:
    assert "time" in CloudEvent(dict(REQUIRED)).get_attributes()


def test_sdk_writes_a_line_break_into_a_header() -> None:
    headers = written(**{"datacontenttype": "a\r\nb", "team\n": "x"}).headers
    assert headers["content-type"] == "a\r\nb"
    assert "ce-team\n" in headers


@pytest.mark.parametrize(
    ("value", "header"), [pytest.param(True, "True", id="boolean"), pytest.param([1], "[1]", id="list")]
)
def test_sdk_writes_an_extension_as_python_text(value: Any, header: str) -> None:
    assert written(team=value).headers["ce-team"] == header


# Code in attributes.py and decode.py


def test_sdk_adds_missing_required_attributes() -> None:
    event = from_binary_event(HTTPMessage({"ce-source": "/s", "ce-type": "t"}, b""))
    assert event.get_attributes().keys() == {"specversion", "id", "source", "type", "time"}


def test_sdk_changes_numbers_of_json_data() -> None:
    assert to_binary_event(structured('"data":{"n":1.10e400}')).body == b'{"n": Infinity}'


def test_sdk_fails_on_a_long_integer() -> None:
    with pytest.raises(ValueError, match="Exceeds the limit"):
        structured(f'"data":{{"n":{"7" * 5000}}}')


def test_sdk_truncates_a_time_to_microseconds() -> None:
    time = binary(time="2026-01-02T03:04:05.123456789Z").get_time()
    assert time == TIME.replace(microsecond=123456)


def test_sdk_fails_on_a_leap_second() -> None:
    with pytest.raises(ValueError, match="second must be in"):
        binary(time="2016-12-31T23:59:60Z")


def test_sdk_accepts_a_time_that_is_not_rfc_3339() -> None:
    assert binary(time="20260102T030405Z").get_time() == TIME


def test_sdk_replaces_invalid_utf_8_of_a_header() -> None:
    assert binary(subject="%FF").get_subject() == "�"


def test_sdk_keeps_the_quotes_of_a_quoted_header() -> None:
    assert binary(subject='"a b"').get_subject() == '"a b"'


def test_sdk_reads_null_as_no_data() -> None:
    assert structured('"data":null').get_data() is None


def test_sdk_skips_characters_that_are_not_base64() -> None:
    assert structured('"data_base64":"*YQ=="').get_data() == b"a"


def test_sdk_accepts_an_object_as_an_extension() -> None:
    assert structured('"team":{}').get_extension("team") == {}


def test_sdk_error_does_not_show_the_value() -> None:
    with pytest.raises(Exception, match=re.escape("id: Attribute 'id' must be a <class 'str'>")):
        CloudEvent({**REQUIRED, "id": 5})
