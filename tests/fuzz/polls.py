"""Documents of polls: a document or ``PollFailed``, and a document that can be written as JSON."""

from __future__ import annotations

import json
import traceback
from typing import Any

from hypothesis import strategies as st

from adapter.polling.documents import FEED_TIMES, Document, read_feed, read_json, time_of, to_utf8
from adapter.polling.errors import PollFailed
from adapter.polling.feeds.markup import check_feed, is_markup
from tests.fuzz.engine import Target, require
from tests.property.specs import documents, urls

PACKAGE = "/adapter/polling/"
URL = "https://h.example/a/feed"
TYPES = ("application/json", "application/rss+xml", "text/xml; charset=iso-8859-1", "text/html; charset=utf-16", "")


def split(data: bytes) -> tuple[str, bytes]:
    """The content type, which is the first line, and the body in UTF-8 unless it has no byte order mark."""
    line, _, body = data.partition(b"\n")
    return line.decode("latin-1"), to_utf8(body)


def check_document(document: Document, times: tuple[str, ...]) -> None:
    json.dumps(document.value)
    for entry in document.entries or ():
        time_of(entry, times)


def check_json(data: bytes) -> None:
    try:
        content_type, body = split(data)
        document = read_json(body, content_type)
    except PollFailed as error:
        require(str(error).isprintable(), error)
        return
    check_document(document, document.times)
    written = json.dumps(document.value).encode()
    assert document.entries is not None or json.dumps(read_json(written).value).encode() == written


def check_feeds(data: bytes) -> None:
    """As the parser's process does, but without the process. It also reports any error of feedparser as a sentence."""
    try:
        content_type, body = split(data)
        if is_markup(body):
            check_feed(body)
            check_document(read_feed(body, content_type, URL), FEED_TIMES)
    except PollFailed as error:
        require(str(error).isprintable(), error)
    except Exception as error:
        if PACKAGE in traceback.extract_tb(error.__traceback__)[-1].filename:
            raise


def feed(root: str, parts: list[tuple[str, str, str]]) -> bytes:
    body = "".join(f"<{name} {attributes}>{text}</{name}>" for name, attributes, text in parts)
    return f"text/xml\n<{root}>{body}</{root}>".encode("utf-8", "replace")


json_feeds = st.builds(
    lambda items: {"version": "https://jsonfeed.org/version/1.1", "items": items}, st.lists(documents) | documents
)
names = st.sampled_from(
    ["entry", "item", "id", "guid", "link", "title", "updated", "pubDate", "author", "x:y", "content", "category"]
)
texts = (
    st.sampled_from(["<entry><id>1</id></entry>", "<![CDATA[<b>]]>", "&#0;", "&lt;", "2026-01-01", "Mon, 99"]) | urls
)
parts = st.tuples(
    names, st.sampled_from(["", 'type="xhtml"', 'href="//["', 'xml:base="http://["', 'xmlns:x="y"']), texts
)
roots = st.sampled_from(["feed", "rss", "rdf:RDF"])


def typed(content_type: str, value: Any) -> bytes:
    return f"{content_type}\n{json.dumps(value)}".encode()


JSON = Target(
    "json",
    check_json,
    st.builds(typed, st.sampled_from(TYPES), documents | json_feeds),
    (b"1e999", b"NaN", b"9" * 5000, b")]}'\n", b'"items"', b'"date_published":"2026"', b"\xff\xfe\x00\x00", b"{}\n{}"),
)
FEEDS = Target(
    "feeds",
    check_feeds,
    st.builds(feed, roots, st.lists(parts, max_size=8)),
    (b"<entry>", b"</item>", b"<!ENTITY a 'b'>", b"<!DOCTYPE x [", b"]>", b"&a;", b"<![CDATA[", b'xml:base="', b"<!--"),
)
