"""The body of an answer -> a document: JSON, or a feed (RSS, Atom, JSON Feed). Pure.

Told apart by their first characters: content types of feeds are all too often wrong. What is neither is a PollFailed
whose text holds nothing of the body.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from adapter.contract.formats import parse_time
from adapter.polling.errors import PollFailed

Json = Any
_HEAD = 4096
_FEED = re.compile(rb"<(\w+:)?(rss|feed|RDF)[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_JSON_FEED = "https://jsonfeed.org/version/"
FEED_TIMES = ("published", "updated")
# UTF-32's little-endian one begins with UTF-16's
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Document:
    """``entries``: a feed's items, the oldest first, as in ``value``; None if it is no feed.

    ``times``: keys of an item's time.
    """

    value: Json
    entries: list[Json] | None = None
    times: tuple[str, ...] = ()

    def time_of(self, item: Json) -> datetime | None:
        """When the item says it is from."""
        return _time_of(item, self.times)


def in_utf8(body: bytes) -> bytes:
    """With UTF-8's mark, if it begins with UTF-16's or UTF-32's; else as it is."""
    for mark, encoding in _BOMS.items():
        if body.startswith(mark):
            try:
                return codecs.BOM_UTF8 + body.decode(encoding).encode()
            except UnicodeError:
                raise PollFailed(f"the answer is not {encoding.upper()}, though it begins so") from None
    return body


def is_markup(body: bytes) -> bool:
    return body[:_HEAD].lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"<")


def check_markup(body: bytes) -> None:
    """That it is a feed."""
    if not _FEED.search(body[:_HEAD]):
        found = "an HTML page" if _HTML.search(body[:_HEAD]) else "markup, and no feed"
        raise PollFailed(f"the answer is {found}; url must name JSON or a feed (RSS, Atom, JSON Feed)")
    if b"<!ENTITY" in body:  # no feed needs them, and a few may stand for megabytes
        raise PollFailed("the answer declares entities; a feed must not")


def read_feed(body: bytes, content_type: str) -> Document:
    """May take any time and memory and hold the interpreter: see :mod:`~adapter.polling.feed_process`."""
    import feedparser

    if body.startswith(codecs.BOM_UTF8):  # says more than the others who say what it is encoded in
        content_type = "application/xml; charset=utf-8"
    # as a file, because it would open a text's file or URL
    parsed = feedparser.parse(io.BytesIO(body), response_headers={"content-type": content_type})
    if not parsed.version and not parsed.entries:
        raise PollFailed("the answer is a feed that cannot be read")
    value = {"feed": _plain(parsed.feed), "entries": [_plain(it) for it in parsed.entries]}
    return _feed(value, "entries", FEED_TIMES)


def read_json(body: bytes) -> Document:
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise PollFailed("the answer is not JSON" if body.strip() else "the answer is empty") from None
    if isinstance(value, dict) and str(value.get("version")).startswith(_JSON_FEED):
        return _feed(value, "items", ("date_published", "date_modified"))
    return Document(value)


def _feed(value: dict[str, Json], name: str, times: tuple[str, ...]) -> Document:
    """``value[name]``: the entries, the newest first, mostly: sorted by time if all have one, else turned round."""
    listed = value.get(name)
    entries = listed[::-1] if isinstance(listed, list) else []
    dated = [(at, it) for it in entries if (at := _time_of(it, times))]
    if len(dated) == len(entries):
        entries = [it for _, it in sorted(dated, key=lambda pair: pair[0])]
    return Document({**value, name: entries}, entries, times)


def _time_of(item: Json, times: tuple[str, ...]) -> datetime | None:
    for key in times if isinstance(item, Mapping) else ():
        try:
            return parse_time(item[key])
        except (KeyError, TypeError, ValueError):
            continue
    return None


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
