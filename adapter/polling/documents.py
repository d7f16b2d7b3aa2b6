"""Response body -> document: JSON, or a feed (RSS, Atom, JSON Feed). No I/O.

The first characters decide which format it is, because many feeds have a wrong content type. For any other body,
``PollFailed`` is raised; its text contains nothing of the body.
"""

from __future__ import annotations

import codecs
import io
import json
import math
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from itertools import islice
from typing import NoReturn

from adapter.contract.formats import Json, parse_time
from adapter.polling.errors import PollFailed

# Some servers put it before JSON, so that no web page can run it as a script.
_PREFIX = re.compile(r"^\s*\)\]\}',?[^\n\[{]*")
_SLOW_CHARSETS = ("idna", "punycode")  # Python's decoders take quadratic time
_JSON_FEED = "https://jsonfeed.org/version/"
MAX_MEMORY = 26 * 1024 * 1024  # for the text and the values of a document; the pod has 128 MiB
BYTES_PER_MARK = 115  # the most memory for each of [ { : , in JSON: a new key, with its places in two tables
BYTES_PER_CHARACTER = 48  # the most memory for each character: [ and ] of nested arrays take 88 together
FEED_TIMES = ("published", "updated")
# UTF-32 comes first: its little-endian mark begins with the one of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Document:
    """``value``: the parsed JSON or feed. ``entries``: the items of a feed, oldest first, which ``value`` contains too.

    ``entries`` is None if the document is not a feed. ``times``: the keys of an item that may hold its time.
    """

    value: Json
    entries: list[Json] | None = None
    times: tuple[str, ...] = ()


def to_utf8(body: bytes) -> bytes:
    """Convert a body with a UTF-16 or UTF-32 byte order mark to UTF-8 with its mark. Return other bodies unchanged."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            try:
                return codecs.BOM_UTF8 + body.decode(encoding).encode()
            except UnicodeError:
                raise PollFailed(f"the response has a {encoding} byte order mark but is not valid {encoding}") from None
    return body


def read_feed(body: bytes, content_type: str, url: str) -> Document:
    """Parse a feed from ``url``. This can take hours and much memory, and block other threads: see
    :mod:`~adapter.polling.feeds.feed_process`.
    """
    from adapter.polling.feeds.feed_parser import parse

    if body.startswith(codecs.BOM_UTF8):  # the mark is more reliable than the header and the XML declaration
        content_type = "application/xml; charset=utf-8"
    parsed = parse(body, content_type, url)
    if not parsed.version and not parsed.entries:
        raise PollFailed("the feed cannot be parsed")
    value = {"feed": _plain(parsed.feed), "entries": [_plain(entry) for entry in parsed.entries]}
    return _feed(value, "entries", FEED_TIMES)


def read_json(body: bytes, content_type: str = "") -> Document:
    """Parse JSON: in UTF-8, UTF-16 or UTF-32, or else in the charset of the content type. Skips a ``)]}'`` prefix.

    Integers are exact. Other numbers are doubles. Of a key that occurs twice, the last value is used.
    """
    text = _decoded(body, content_type)
    if prefix := _PREFIX.match(text):
        text = text[prefix.end() :]
    check_size(text, "the response")
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_finite)
    except _NoNumber as error:
        raise PollFailed(f"the response is not JSON: it holds {error}") from None
    except (json.JSONDecodeError, RecursionError):
        found = "NDJSON, one value per line; url must point to one JSON value" if _is_ndjson(text) else "not JSON"
        raise PollFailed(f"the response is {found}") from None
    except ValueError:  # of int()
        longest = sys.get_int_max_str_digits()
        raise PollFailed(
            f"the response holds an integer of more than {longest} digits; request it as a string"
        ) from None
    if isinstance(value, dict) and str(value.get("version")).startswith(_JSON_FEED):
        return _feed(value, "items", ("date_published", "date_modified"))
    return Document(value)


def check_size(text: str, name: str) -> None:
    """``PollFailed`` if parsing JSON could take more than ``MAX_MEMORY`` bytes, together with its text.

    Counts the characters before or after each value and key, also inside of strings: that takes far less time than
    parsing.
    """
    size = sys.getsizeof(text)  # one character such as an emoji makes the whole text four times as large
    if size + len(text) * BYTES_PER_CHARACTER <= MAX_MEMORY:
        return
    size += sum(map(text.count, "[{:,")) * BYTES_PER_MARK
    if size > MAX_MEMORY:
        needed, most = -(-size // 2**20), MAX_MEMORY // 2**20
        raise PollFailed(f"parsing {name} could take {needed} MiB of memory, more than {most}; request fewer items")


def _decoded(body: bytes, content_type: str) -> str:
    header = Message()
    header["content-type"] = content_type
    charset = header.get_content_charset("utf-8")
    for encoding in (json.detect_encoding(body), "utf-8" if charset in _SLOW_CHARSETS else charset):
        try:
            return body.decode(encoding, "surrogatepass")
        except (LookupError, ValueError):
            continue
    raise PollFailed("the response is not JSON: its text fits neither UTF-8 nor the charset of its Content-Type")


def _is_ndjson(text: str) -> bool:
    lines = list(islice((line for line in io.StringIO(text) if line.strip()), 2))
    try:
        for line in lines:
            json.loads(line)
    except (ValueError, RecursionError):
        return False
    return len(lines) == 2


def _feed(value: dict[str, Json], name: str, times: tuple[str, ...]) -> Document:
    """``value[name]`` holds the entries. Sorts them by time if all have one; otherwise reverses their order."""
    listed = value.get(name)
    entries = listed[::-1] if isinstance(listed, list) else []
    dated = [(at, entry) for entry in entries if (at := time_of(entry, times))]
    if len(dated) == len(entries):
        entries = [entry for _, entry in sorted(dated, key=lambda pair: pair[0])]
    return Document({**value, name: entries}, entries, times)


def time_of(item: Json, times: tuple[str, ...]) -> datetime | None:
    """The time of ``item``: the value of the first key in ``times`` that holds an RFC 3339 time."""
    for key in times if isinstance(item, Mapping) else ():
        try:
            return parse_time(item[key])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _plain(value: Json) -> Json:
    """feedparser gives times twice, as text in any format and parsed; only the parsed one is kept, as RFC 3339."""
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if not isinstance(value, dict):
        return value
    members = list(dict.items(value))  # feedparser's own items() adds deprecated names of keys
    plain = {key: _plain(member) for key, member in members if not isinstance(member, time.struct_time)}
    for key, member in members:
        if isinstance(member, time.struct_time):
            plain[key.removesuffix("_parsed")] = time.strftime("%Y-%m-%dT%H:%M:%SZ", member)
    return plain


class _NoNumber(Exception):
    """The text says what the response holds in place of a number."""


def _reject_constant(name: str) -> NoReturn:
    """``NaN`` and ``Infinity``, which Python reads, are not JSON."""
    raise _NoNumber(name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NoNumber("a number beyond the range of a double, such as 1e999")
    return number
