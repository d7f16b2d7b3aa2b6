"""What PollSource makes of answers: items, keys, feeds, conditions, and the sentences where it can make nothing."""

from __future__ import annotations

import codecs
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from adapter.polling import client as polling
from adapter.polling import feed_process as feeds
from adapter.sdk import Event, Outcome
from adapter.sources.poll_source import PollSource
from tests.unit.adapter.polling.polled import URL, failure, found, ok
from tests.unit.adapter.polling.polling_run import Run

RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>
<item><link>http://host/old</link><title>Old</title><pubDate>Thu, 01 Jan 2026 10:00:00 +0100</pubDate></item>
<item><guid>new</guid><title>New</title><pubDate>Fri, 02 Jan 2026 10:00:00 GMT</pubDate></item>
</channel></rss>"""
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


def test_each_item_of_a_list_is_an_event_whose_id_is_its_key() -> None:
    (one, two) = found([{"id": "a", "x": 1}, {"id": 7}])
    assert one == Event(type="dev.knative.poll.item", data={"id": "a", "x": 1}, id="a")
    assert two.id == "7"


def test_items_id_type_and_subject_are_said_by_the_spec() -> None:
    answer = {"data": {"list": [{"key": {"n": 1.5}, "who": "ann"}, {"key": {"n": 2}, "who": None}]}}
    events = found(answer, items="data.list", id="key.n", eventType="com.example.x", subject="who")
    assert [(it.id, it.type, it.subject) for it in events] == [
        ("1.5", "com.example.x", "ann"),
        ("2", "com.example.x", None),
    ]


def test_a_feed_is_sent_the_oldest_first_with_its_own_times() -> None:
    old, new = found(RSS)
    assert (old.id, old.time, old.data["title"]) == ("http://host/old", datetime(2026, 1, 1, 9, tzinfo=UTC), "Old")
    assert (new.id, new.time) == ("new", datetime(2026, 1, 2, 10, tzinfo=UTC))
    assert new.data["published"] == "2026-01-02T10:00:00Z"
    json.dumps(new.data)


@pytest.mark.parametrize(("feed", "ids"), [(ATOM, ["urn:1", "urn:2"]), (JSON_FEED, ["1", "2"])], ids=["atom", "json"])
def test_a_feed_is_known_by_its_shape(feed: bytes, ids: list[str]) -> None:
    assert [it.id for it in found(feed)] == ids


@pytest.mark.parametrize(
    ("feed", "items"),
    [pytest.param(ATOM, "entries[?title]", id="atom"), pytest.param(JSON_FEED, "items[?date_published]", id="json")],
)
def test_items_chosen_of_a_feed_are_the_oldest_first_too(feed: bytes, items: str) -> None:
    assert [it.id for it in found(feed, items=items)] == [it.id for it in found(feed)]


def marked(body: bytes, encoding: str) -> bytes:
    text = body.decode()
    big = {"utf-16": codecs.BOM_UTF16_BE, "utf-32": codecs.BOM_UTF32_BE}
    name = encoding.removesuffix("-be")
    return big[name] + text.encode(encoding) if encoding.endswith("-be") else text.encode(encoding)


@pytest.mark.parametrize("content_type", ["application/xml", "application/xml; charset=utf-16", "text/xml", ""])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_feed_says_by_its_first_bytes_in_which_utf_it_is(encoding: str, content_type: str) -> None:
    declared = b'<?xml version="1.0" encoding="utf-16"?>' if "16" in encoding else b""
    body = marked(declared + ATOM.replace(b"Two", "Zwölf €".encode()), encoding)
    _, event = found(lambda request: ok(body, Content_Type=content_type))
    assert event.data["title"] == "Zwölf €"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_so_does_json(encoding: str) -> None:
    assert [it.id for it in found(marked('[{"id": "ä"}]'.encode(), encoding))] == ["ä"]


def test_items_of_a_feed_may_be_chosen() -> None:
    assert [it.id for it in found(ATOM, items="entries[?title=='Two']")] == ["urn:2"]
    assert [it.id for it in found(ATOM, id="title")] == ["One", "Two"]


def test_a_json_feeds_time_is_its_items() -> None:
    assert [it.time for it in found(JSON_FEED)] == [
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("answer", "fields", "said"),
    [
        pytest.param(b"<!DOCTYPE html><html><body>sign in", {}, "the answer is an HTML page; url must name", id="html"),
        pytest.param(b"\n <x/>", {}, "the answer is markup, and no feed", id="xml"),
        pytest.param(b'{"a": secret', {}, "the answer is not JSON", id="no-json"),
        pytest.param(b"[NaN]", {}, "the answer is not JSON", id="nan"),
        pytest.param(b"[" * 200_000, {}, "the answer is not JSON", id="deep"),
        pytest.param(b"", {}, "the answer is empty", id="empty"),
        pytest.param({"a": 1}, {}, 'items "@" finds no list; write the JMESPath of one', id="no-list"),
        pytest.param({"data": None}, {"items": "data"}, 'items "data" finds no list', id="null"),
        pytest.param([{"id": "a"}, {"x": 1}], {}, 'id "id" finds no key of item 1; write', id="no-key"),
        pytest.param([{"id": {"secret": 1}}], {}, 'id "id" finds no key of item 0', id="key-is-object"),
        pytest.param([{"id": ""}], {}, "finds no key", id="key-is-empty"),
        pytest.param([{"id": True}], {}, "finds no key", id="key-is-boolean"),
        pytest.param(b"\xff\xfe<", {}, "the answer is not UTF-16, though it begins so", id="no-utf-16"),
        pytest.param([{"id": 1}], {"items": "[?id > 'x']"}, "does not fit the answer (TypeError)", id="compared"),
        pytest.param(["secret"], {"id": "abs(@)"}, 'id "abs(@)" does not fit the answer', id="function"),
        pytest.param(RSS, {"id": "guid"}, 'id "guid" finds no key of item 0', id="feed-without-the-key-asked-for"),
        pytest.param(b'<!DOCTYPE rss [<!ENTITY a "secret">]>' + RSS, {}, "the answer declares entities", id="entities"),
        pytest.param([{"id": n} for n in range(10_001)], {}, "finds 10001 items, more than 10000", id="too-many"),
        pytest.param(list(range(2000)), {"maxBytes": 1024}, "the answer is longer than maxBytes (1024)", id="long"),
    ],
)
def test_an_answer_nothing_can_be_made_of_is_a_failure_with_a_sentence(
    answer: Any, fields: dict[str, Any], said: str
) -> None:
    error = failure(answer, **fields)
    assert said in str(error)
    assert "secret" not in str(error)


def test_conditions_do_not_run_ahead_of_a_sink_that_took_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else 304 would be the answer to the next poll, and the item would never come again."""
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-None-Match"))
        if len(asked) == 4:
            raise KeyboardInterrupt
        if asked[-1]:
            return httpx2.Response(304)
        return ok([{"id": "a"}, {"id": "b"}], ETag='"1"')

    mock = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    monkeypatch.setattr(polling, "_client", lambda *_: mock)
    outcomes = iter([Outcome.DELIVERED, Outcome.GAVE_UP, Outcome.DELIVERED])
    run = Run(PollSource(url=URL, start="earliest"), lambda event: next(outcomes))
    assert run.ids() == ["a", "b", "b"]
    assert asked == [None, None, '"1"', '"1"']
    assert run.outcomes == ["ok", "ok", "unchanged"]


@pytest.mark.parametrize("start", ["now", "earliest"])
def test_the_first_poll_sends_what_is_there_only_if_asked_to(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = iter([["a"], ["a", "b"]])

    def answer(request: httpx2.Request) -> httpx2.Response:
        items = next(lists, None)
        if items is None:
            raise KeyboardInterrupt
        return ok(items)

    mock = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    monkeypatch.setattr(polling, "_client", lambda *_: mock)
    assert Run(PollSource(url=URL, id="@", start=start)).ids() == (["b"] if start == "now" else ["a", "b"])  # type: ignore[arg-type]  # a parameter, not a literal


def test_a_feed_that_takes_the_memory_of_many_is_a_failure() -> None:
    assert "the feed takes more than 64 MiB to read" in str(failure(b"<rss><channel>" + b"<x>" * 340_000))


def test_a_feed_at_which_reading_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MODULE", "adapter.nothing")
    assert str(failure(ATOM)) == "the feed cannot be read: reading it ended with exit code 1"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        pytest.param("url", "ftp://h", "write an absolute http(s) URL", id="scheme"),
        pytest.param("url", "http://", "write an absolute http(s) URL", id="no-host"),
        pytest.param("url", "http://h:99999/", "write an absolute http(s) URL", id="port"),
        pytest.param(
            "url", "http://u:p@h/", "must not contain a user or password; put them into a Secret", id="password"
        ),
        pytest.param("items", "data[", 'write a JMESPath expression like "data.items" (Incomplete', id="items"),
        pytest.param("id", "a.b[?c(@)] | d(@)", "JMESPath has no function c(); there are", id="function"),
        pytest.param("subject", "", "write a JMESPath expression", id="subject"),
        pytest.param("headers", {"a b": "x"}, '"a b" is no name of a header', id="header-name"),
        pytest.param("headers", {"X": "a\nb"}, "the value of X must be one line of ASCII", id="header-value"),
        pytest.param("secretHeaders", {"X": "a\nb"}, "the value of X must be one line of ASCII", id="secret-value"),
        pytest.param("CACerts", "x", "write PEM certificates", id="pem"),
        pytest.param("maxBytes", 5 * 1024 * 1024, "less than or equal to 4194304", id="max-bytes"),
        pytest.param("start", "later", "'now' or 'earliest'", id="start"),
    ],
)
def test_a_field_that_cannot_be_used_is_refused_when_the_source_starts(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PollSource.model_validate({"url": URL, field: value})
    (error,) = caught.value.errors()
    assert said in error["msg"]
    assert error["loc"][0] == field


def test_a_body_that_looks_like_a_files_name_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "<rss >"
    Path(name).write_bytes(ATOM)
    assert os.listdir() == [name]
    assert found(name.encode()) == []


def test_an_item_that_is_a_text_is_its_own_key() -> None:
    assert [(it.id, it.data) for it in found(["a", "b"], id="@")] == [("a", "a"), ("b", "b")]
