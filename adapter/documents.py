"""The body of an answer -> a document: JSON, or a feed (RSS, Atom, JSON Feed). Pure.

Told apart by their first characters: content types of feeds are all too often wrong. What is neither is a PollFailed
whose text holds nothing of the body.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from adapter.formats import parse_time
from adapter.polling import PollFailed

Json = Any
_HEAD = 4096
_FEED = re.compile(rb"<(\w+:)?(rss|feed|RDF)[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_JSON_FEED = "https://jsonfeed.org/version/"


@dataclass(frozen=True)
class Document:
    """``entries``: a feed's items, the oldest first; None if it is no feed. ``times``: keys of an item's time."""

    value: Json
    entries: list[Json] | None = None
    times: tuple[str, ...] = ()

    def time_of(self, item: Json) -> datetime | None:
        """When the item says it is from."""
        for key in self.times if isinstance(item, Mapping) else ():
            try:
                return parse_time(item[key])
            except (KeyError, TypeError, ValueError):
                continue
        return None


def is_markup(body: bytes) -> bool:
    return body[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def read_markup(body: bytes, content_type: str) -> Document:
    """Slow: seconds for megabytes."""
    if not _FEED.search(body[:_HEAD]):
        found = "an HTML page" if _HTML.search(body[:_HEAD]) else "markup, and no feed"
        raise PollFailed(f"the answer is {found}; url must name JSON or a feed (RSS, Atom, JSON Feed)")
    if b"<!ENTITY" in body:  # no feed needs them, and a few may stand for megabytes
        raise PollFailed("the answer declares entities; a feed must not")
    import feedparser

    # as a file, because it would open a text's file or URL
    parsed = feedparser.parse(io.BytesIO(body), response_headers={"content-type": content_type})
    if not parsed.version and not parsed.entries:
        raise PollFailed("the answer is a feed that cannot be read")
    value = {"feed": _plain(parsed.feed), "entries": [_plain(it) for it in parsed.entries]}
    return _feed(value, value["entries"], ("published", "updated"))


def read_json(body: bytes) -> Document:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise PollFailed("the answer is not JSON" if body.strip() else "the answer is empty") from None
    if isinstance(value, dict) and str(value.get("version")).startswith(_JSON_FEED):
        entries = value.get("items")
        return _feed(value, entries if isinstance(entries, list) else [], ("date_published", "date_modified"))
    return Document(value)


def _feed(value: Json, entries: list[Json], times: tuple[str, ...]) -> Document:
    """Feeds have the newest first, mostly: sorted by time if all have one, else turned round."""
    document = Document(value, entries[::-1], times)
    assert document.entries is not None
    dated = [(at, it) for it in document.entries if (at := document.time_of(it))]
    if len(dated) < len(entries):
        return document
    return Document(value, [it for _, it in sorted(dated, key=lambda pair: pair[0])], times)


def _plain(value: Json) -> Json:
    """feedparser's dictionaries know each key by several names; its times are tuples, their texts in any format."""
    if isinstance(value, dict):
        plain = {key: _plain(it) for key, it in dict.items(value) if not isinstance(it, time.struct_time)}
        for key, it in dict.items(value):
            if isinstance(it, time.struct_time):
                plain[key.removesuffix("_parsed")] = time.strftime("%Y-%m-%dT%H:%M:%SZ", it)
        return plain
    return [_plain(it) for it in value] if isinstance(value, list) else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
