"""Reading received CloudEvents without loss. Requests that are not CloudEvents: test_display.py."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from adapter.cloudevents.decode import read_event
from adapter.serving.messages import Request

PNG = b"\x89PNG\xff"
BASE64 = base64.b64encode(PNG).decode()
JSON, TEXT = "application/json", "text/plain"


def structured(members: str) -> Request:
    """A request with ``members``, JSON text, beside the required attributes."""
    text = '{"specversion":"1.0","id":"1","source":"/a/b","type":"t"' + (f",{members}}}" if members else "}")
    return Request("POST", "/", {"content-type": "application/cloudevents+json"}, text.encode())


DATA: dict[str, tuple[str, bytes | None, str]] = {
    "none": ("", None, ""),
    "base64": (f'"datacontenttype":"image/png","data_base64":"{BASE64}"', PNG, "image/png"),
    "base64-without-content-type": (f'"data_base64":"{BASE64}"', PNG, ""),
    "base64-empty": ('"data_base64":""', b"", ""),
    "base64-beside-null": (f'"data":null,"data_base64":"{BASE64}"', PNG, ""),
    "json-string": (f'"datacontenttype":"{JSON}","data":"hello"', b'"hello"', JSON),
    "json-string-of-json": (f'"datacontenttype":"{JSON}","data":"{{}}"', b'"{}"', JSON),
    "json-implied": ('"data":"hello"', b'"hello"', JSON),
    "json-null": ('"data":null', b"null", JSON),
    "json-subtype": ('"datacontenttype":"Text/X.y+JSON","data":[1]', b"[1]", "Text/X.y+JSON"),
    "json-number": ('"data" : 1.10e400 ', b"1.10e400", JSON),
    "json-long-number": (f'"data":{"7" * 5000}', b"7" * 5000, JSON),
    "json-escapes": (
        '"data":{ "b":"\\u00e9é\\ud800", "a":"}\\"," }', '{ "b":"\\u00e9é\\ud800", "a":"}\\"," }'.encode(), JSON
    ),
    "json-in-the-middle": (
        '"x":"\\"data\\":1","data":[1, {"data":2}],"z":"}"', b'[1, {"data":2}]', JSON
    ),
    "json-twice": ('"data":1,"data":2', b"2", JSON),
    "text": (f'"datacontenttype":"{TEXT}","data":"grün"', "grün".encode(), TEXT),
    "text-charset": ('"datacontenttype":"text/plain; Charset=\\"ISO-8859-1\\"","data":"grün"', b"gr\xfcn",
                     'text/plain; Charset="ISO-8859-1"'),
    "text-null": (f'"datacontenttype":"{TEXT}","data":null', None, TEXT),
    "xml": ('"datacontenttype":"application/xml","data":"<a/>"', b"<a/>", "application/xml"),
}  # fmt: skip


@pytest.mark.parametrize(("members", "data", "content_type"), DATA.values(), ids=DATA)
def test_data_of_a_structured_event_equals_the_body_of_binary_mode(
    members: str, data: bytes | None, content_type: str
) -> None:
    event = read_event(structured(members))
    assert (event.data, event.content_type) == (data, content_type)


BAD = {
    "text-no-string": (f'"datacontenttype":"{TEXT}","data":{{}}', "data is not a string, but its content type is"),
    "charset": ('"datacontenttype":"text/plain;charset=utf-16","data":"x"', "charset utf-16 is not supported"),
    "charset-too-small": ('"datacontenttype":"text/x;charset=us-ascii","data":"ü"', "has characters outside charset"),
    "text-surrogate": (f'"datacontenttype":"{TEXT}","data":"\\ud800"', "has characters outside charset utf-8"),
    "surrogate": ('"subject":"\\ud800"', "subject contains an unpaired surrogate"),
    "extension-surrogate": ('"team":"\\udfff"', "team contains an unpaired surrogate"),
    "content-type": ('"datacontenttype":"täxt/plain","data":"x"', "the content type is"),
    "nan": ('"data":NaN', "the body is not JSON"),
    "both": (f'"data":1,"data_base64":"{BASE64}"', "the event has data and data_base64; send one of them"),
    "no-leap-second": ('"time":"2026-01-01T12:00:60Z"', "there are leap seconds only at 23:59:60 UTC"),
}


@pytest.mark.parametrize(("members", "sentence"), BAD.values(), ids=BAD)
def test_event_that_cannot_be_read_without_loss_is_rejected(members: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_event(structured(members))


@pytest.mark.parametrize(
    "time",
    [
        "2016-12-31T23:59:60Z",
        "2017-01-01T08:59:60.5+09:00",
        "2026-01-01t00:00:00.123456789z",
        "0001-01-01T00:00:00Z",
    ],
)
def test_every_rfc_3339_time_is_kept_as_written(time: str) -> None:
    assert read_event(structured(f'"time":"{time}"')).attributes["time"] == time


def test_extension_keeps_its_type_and_may_have_a_long_name() -> None:
    extensions: dict[str, Any] = {"on": True, "count": 5, "text": "5", "averyverylongextensionname": ""}
    members = '"on":true,"count":5,"text":"5","averyverylongextensionname":"","unset":null'
    assert read_event(structured(members)).extensions == extensions
