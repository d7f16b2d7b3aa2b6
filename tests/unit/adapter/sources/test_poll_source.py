"""PollSource turns responses into events, or fails with a reason that says what to change."""

from __future__ import annotations

import codecs
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from adapter.sdk import Event, Outcome
from adapter.sources.poll_source import PollSource
from tests.unit.adapter.polling.polled import URL, failure, found, ok
from tests.unit.adapter.polling.polling_run import Run

RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>
<item><link>http://host/old</link><title>Old</title><pubDate>Thu, 01 Jan 2026 10:00:00 +0100</pubDate></item>
<item><guid>new</guid><title>New</title><pubDate>Fri, 02 Jan 2026 10:00:00 GMT</pubDate></item>
</channel></rss>"""
BARE = RSS.removeprefix(b'<?xml version="1.0"?>')
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>
<entry><id>urn:2</id><title>Two</title></entry><entry><id>urn:1</id><title>One</title></entry></feed>"""
JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [
            {"id": "2", "date_published": "2026-01-02T00:00:00Z"},
            {"id": "1", "date_published": "2026-01-01T00:00:00+01:00"},
        ],
    }
).encode()


def test_each_item_of_a_list_becomes_an_event_with_its_key_as_id() -> None:
    (first, second) = found([{"id": "a", "x": 1}, {"id": 7}])
    assert first == Event(type="dev.knative.poll.item", data={"id": "a", "x": 1}, id="a")
    assert second.id == "7"


def test_spec_selects_items_id_type_and_subject() -> None:
    answer = {"data": {"list": [{"key": {"n": 1.5}, "who": "ann"}, {"key": {"n": 2}, "who": None}]}}
    events = found(answer, items="data.list", id="key.n", eventType="com.example.x", subject="who")
    assert [(event.id, event.type, event.subject) for event in events] == [
        ("1.5", "com.example.x", "ann"),
        ("2", "com.example.x", None),
    ]


def test_entries_of_a_feed_are_sent_oldest_first_with_their_times() -> None:
    old, new = found(RSS)
    assert (old.id, old.time, old.data["title"]) == ("http://host/old", datetime(2026, 1, 1, 9, tzinfo=UTC), "Old")
    assert (new.id, new.time) == ("new", datetime(2026, 1, 2, 10, tzinfo=UTC))
    assert new.data["published"] == "2026-01-02T10:00:00Z"
    json.dumps(new.data)


@pytest.mark.parametrize(("feed", "ids"), [(ATOM, ["urn:1", "urn:2"]), (JSON_FEED, ["1", "2"])], ids=["atom", "json"])
def test_feed_is_recognized_by_its_content(feed: bytes, ids: list[str]) -> None:
    assert [event.id for event in found(feed)] == ids


@pytest.mark.parametrize(
    ("feed", "items"),
    [pytest.param(ATOM, "entries[?title]", id="atom"), pytest.param(JSON_FEED, "items[?date_published]", id="json")],
)
def test_entries_selected_from_a_feed_are_sent_oldest_first(feed: bytes, items: str) -> None:
    assert [event.id for event in found(feed, items=items)] == [event.id for event in found(feed)]


def marked(body: bytes, encoding: str) -> bytes:
    text = body.decode()
    big = {"utf-16": codecs.BOM_UTF16_BE, "utf-32": codecs.BOM_UTF32_BE}
    name = encoding.removesuffix("-be")
    return big[name] + text.encode(encoding) if encoding.endswith("-be") else text.encode(encoding)


@pytest.mark.parametrize("content_type", ["application/xml", "application/xml; charset=utf-16", "text/xml", ""])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_byte_order_mark_of_a_feed_overrides_other_encodings(encoding: str, content_type: str) -> None:
    declared = b'<?xml version="1.0" encoding="utf-16"?>' if "16" in encoding else b""
    body = marked(declared + ATOM.replace(b"Two", "Zwölf €".encode()), encoding)
    _, event = found(lambda request: ok(body, Content_Type=content_type))
    assert event.data["title"] == "Zwölf €"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_json_with_a_byte_order_mark_is_decoded(encoding: str) -> None:
    assert [event.id for event in found(marked('[{"id": "ä"}]'.encode(), encoding))] == ["ä"]


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", '"ISO-8859-15"'])
def test_json_is_read_in_the_charset_of_its_content_type(charset: str) -> None:
    body = '[{"id": "Zwölf"}]'.encode(charset.strip('"'))
    content_type = f"application/json; charset={charset}"
    assert [event.id for event in found(lambda request: ok(body, Content_Type=content_type))] == ["Zwölf"]


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8", "nonsense", "a\0b", ""])
def test_json_in_utf_8_is_read_whatever_its_content_type_says(charset: str) -> None:
    content_type = f"application/json; charset={charset}"
    answer = ok('[{"id": "Zwölf"}]'.encode(), Content_Type=content_type)
    assert [event.id for event in found(lambda request: answer)] == ["Zwölf"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_json_in_utf_16_or_32_without_a_byte_order_mark_is_read(encoding: str) -> None:
    assert [event.id for event in found('[{"id": "ä"}]'.encode(encoding))] == ["ä"]


@pytest.mark.parametrize("charset", ["punycode", "idna", "hex", "undefined"])
def test_charset_with_a_slow_decoder_is_not_used(charset: str) -> None:
    answer = ok(b"\xff-" + b"z" * 1_000_000, Content_Type=f"application/json; charset={charset}")
    began = time.process_time()
    assert "the response is not JSON" in str(failure(lambda request: answer))
    assert time.process_time() - began < 1


@pytest.mark.parametrize("prefix", [")]}'\n", ")]}',\n", "\n)]}'", ")]}'  \r\n"])
def test_prefix_against_script_inclusion_is_skipped(prefix: str) -> None:
    assert [event.id for event in found(prefix.encode() + b'[{"id": "a"}]')] == ["a"]


def test_entries_and_id_of_a_feed_can_be_selected() -> None:
    assert [event.id for event in found(ATOM, items="entries[?title=='Two']")] == ["urn:2"]
    assert [event.id for event in found(ATOM, id="title")] == ["One", "Two"]


def test_times_of_a_json_feed_are_the_times_of_its_items() -> None:
    assert [event.time for event in found(JSON_FEED)] == [
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("answer", "fields", "reason"),
    [
        pytest.param(
            b"<!DOCTYPE html><html><body>sign in", {}, "the response is an HTML page; url must point to", id="html"
        ),
        pytest.param(b"<h1>secret</h1>", {}, "the response is an HTML page", id="html-fragment"),
        pytest.param(b"<!-- x --><html>", {}, "the response is an HTML page", id="html-after-a-comment"),
        pytest.param(b"\n <x/>", {}, "the response is XML but not a feed", id="xml"),
        pytest.param(b"<opml><head><title>secret", {}, "the response is XML but not a feed", id="opml"),
        pytest.param(b'{"a": secret', {}, "the response is not JSON", id="no-json"),
        pytest.param(
            b'{"id": "secret"}\n{"id": 2}\n', {}, "the response is NDJSON, one value per line; url", id="ndjson"
        ),
        pytest.param(b'\n{"id": 1}\r\n\r\n{"id": 2}', {}, "the response is NDJSON", id="ndjson-with-empty-lines"),
        pytest.param(b"1\n2\n", {}, "the response is NDJSON", id="ndjson-of-numbers"),
        pytest.param(b'{"id": 1}\n{"id": ', {}, "the response is not JSON", id="cut-ndjson"),
        pytest.param(b'["\xff secret"]', {}, "fits neither UTF-8 nor the charset of its Content-Type", id="no-utf-8"),
        pytest.param(b"[NaN]", {}, "the response is not JSON", id="nan"),
        pytest.param(b"[" * 200_000, {}, "the response is not JSON", id="deep"),
        pytest.param({"a": 1}, {}, 'items "@" does not select a list; write', id="no-list"),
        pytest.param({"data": None}, {"items": "data"}, 'items "data" does not select a list', id="null"),
        pytest.param([{"id": "a"}, {"x": 1}], {}, 'id "id" selects no key in item 1; write', id="no-key"),
        pytest.param([{"id": {"secret": 1}}], {}, 'id "id" selects no key in item 0', id="key-is-object"),
        pytest.param([{"id": ""}], {}, "selects no key", id="key-is-empty"),
        pytest.param([{"id": True}], {}, "selects no key", id="key-is-boolean"),
        pytest.param(
            b"\xff\xfe<", {}, "the response has a utf-16 byte order mark but is not valid utf-16", id="no-utf-16"
        ),
        pytest.param([{"id": 1}], {"items": "[?id > 'x']"}, "does not fit the response (TypeError)", id="compared"),
        pytest.param(["secret"], {"id": "abs(@)"}, 'id "abs(@)" does not fit the response', id="function"),
        pytest.param(RSS, {"id": "guid"}, 'id "guid" selects no key in item 0', id="feed-without-the-key-asked-for"),
        pytest.param(
            b'<!DOCTYPE rss [<!ENTITY b "&a;secret">]>' + BARE, {}, "the feed declares an XML entity", id="entities"
        ),
        pytest.param([{"id": n} for n in range(10_001)], {}, "selects 10001 items, more than 10000", id="too-many"),
        pytest.param(list(range(2000)), {"maxBytes": 1024}, "the response is longer than maxBytes (1024)", id="long"),
    ],
)
def test_unusable_response_fails_without_showing_data(answer: Any, fields: dict[str, Any], reason: str) -> None:
    error = failure(answer, **fields)
    assert reason in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("status", [200, 202, 204, 205])
@pytest.mark.parametrize("body", [b"", b" \r\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_empty_response_has_no_items_and_its_validators_are_not_kept(status: int, body: bytes) -> None:
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-None-Match"))
        if len(asked) == 3:
            raise KeyboardInterrupt
        if len(asked) == 2:
            return ok([{"id": "a"}], ETag='"1"')
        return httpx2.Response(status, headers={"ETag": '"1"'}, content=body)

    run = Run(PollSource(url=URL), handler=answer)
    assert run.ids() == ["a"]
    assert run.outcomes == ["ok", "ok"]
    assert asked == [None, None, '"1"']


def test_requests_are_not_conditional_until_the_sink_has_all_events() -> None:
    """Otherwise the next response would be 304, and the event would be lost."""
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-None-Match"))
        if len(asked) == 4:
            raise KeyboardInterrupt
        if asked[-1]:
            return httpx2.Response(304)
        return ok([{"id": "a"}, {"id": "b"}], ETag='"1"')

    outcomes = iter([Outcome.DELIVERED, Outcome.GAVE_UP, Outcome.DELIVERED])
    run = Run(PollSource(url=URL, start="earliest"), lambda event: next(outcomes), handler=answer)
    assert run.ids() == ["a", "b", "b"]
    assert asked == [None, None, '"1"', '"1"']
    assert run.outcomes == ["ok", "ok", "unchanged"]


@pytest.mark.parametrize("start", ["now", "earliest"])
def test_start_decides_whether_the_first_poll_sends_existing_items(start: str) -> None:
    lists = iter([["a"], ["a", "b"]])

    def answer(request: httpx2.Request) -> httpx2.Response:
        items = next(lists, None)
        if items is None:
            raise KeyboardInterrupt
        return ok(items)

    source = PollSource.model_validate({"url": URL, "id": "@", "start": start})
    assert Run(source, handler=answer).ids() == (["b"] if start == "now" else ["a", "b"])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("url", "ftp://h", "write an absolute http(s) URL", id="scheme"),
        pytest.param("url", "http://", "write an absolute http(s) URL", id="no-host"),
        pytest.param("url", "http://h:99999/", "write an absolute http(s) URL", id="port"),
        pytest.param(
            "url", "http://u:p@h/", "must not contain a user or password; put them into a Secret", id="password"
        ),
        pytest.param("items", "data[", 'write a JMESPath expression like "data.items" (Incomplete', id="items"),
        pytest.param("id", "a.b[?c(@)] | d(@)", "JMESPath has no function c(); it has abs", id="function"),
        pytest.param("subject", "", "write a JMESPath expression", id="subject"),
        pytest.param("subject", " | ".join(["[@, @]"] * 24), "can copy its input more than 100 times", id="copies"),
        pytest.param("headers", {"a b": "x"}, '"a b" is not a valid header name', id="header-name"),
        pytest.param("headers", {"X": "a\nb"}, "the value of X must be printable ASCII on one line", id="header-value"),
        pytest.param("headers", {"a": "1", "A": "2"}, "A and a are the same header", id="header-twice"),
        pytest.param("secretHeaders", {"x": "hush", "X": "hush"}, "X and x are the same header", id="secret-twice"),
        pytest.param(
            "secretHeaders", {"X": "a\nb"}, "the value of X must be printable ASCII on one line", id="secret-value"
        ),
        pytest.param("CACerts", "x", "write PEM certificates", id="pem"),
        pytest.param("maxBytes", 5 * 1024 * 1024, "less than or equal to 4194304", id="max-bytes"),
        pytest.param("start", "later", "'now' or 'earliest'", id="start"),
    ],
)
def test_invalid_field_is_rejected(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PollSource.model_validate({"url": URL, field: value})
    (error,) = caught.value.errors()
    assert message in error["msg"]
    assert error["loc"][0] == field


def test_body_that_is_the_name_of_a_file_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "<rss ></rss>"
    Path(name).parent.mkdir()
    Path(name).write_bytes(ATOM)
    assert os.listdir() == ["<rss ><"]
    assert found(name.encode()) == []


def test_item_that_is_a_string_can_be_its_own_key() -> None:
    assert [(event.id, event.data) for event in found(["a", "b"], id="@")] == [("a", "a"), ("b", "b")]
