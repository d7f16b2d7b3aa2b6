"""Checks markup before it is parsed: is it a feed, is it complete, which entities does it declare? No I/O."""

from __future__ import annotations

import codecs
import re
from typing import NoReturn

from adapter.polling.errors import PollFailed

HEAD = 4096  # bytes in which the first tag must be, after a DOCTYPE
MAX_ENTITY_LENGTH = 100  # characters; longer texts can expand a small feed to many megabytes
_CHUNK = 1024
_MAX_PROLOG = 64 * 1024  # the time to read it is quadratic
_FEED = re.compile(rb"<((?:\w+:)?(?:rss|feed|RDF))(?=[\s/>])", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?!#)")  # not &#160;, which is one character
_FIRST_TAG = re.compile(rb"<(!doctype\s+html\b|[a-z][\w:.-]*)", re.IGNORECASE)
_HTML = re.compile(
    rb"!doctype\s+html|a|b|body|br|center|div|font|h[1-6]|head|html|meta|p|pre|script|span|style|table|title",
    re.IGNORECASE,
)
_EMPTY_TAG = re.compile(rb"<[^<>]*/>")
# In these parts, an end tag is text. A part without an end reaches to the end of the feed.
_TEXT_PARTS = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL)


class _RootReached(Exception):
    """Ends the parser at the first start tag. The argument is its offset."""


def is_markup(body: bytes) -> bool:
    return body[:HEAD].lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"<")


def check_feed(body: bytes) -> None:
    """``PollFailed`` if markup is not a feed, if its end is missing, or if it declares entities that can expand."""
    text = body.lstrip(codecs.BOM_UTF8 + b" \t\r\n")
    start = _end_of_doctype(text)
    root = _FEED.search(text[: start + HEAD], start)
    if not root:
        first = _FIRST_TAG.search(_TEXT_PARTS.sub(b"", text[:HEAD]))
        found = "an HTML page" if first and _HTML.fullmatch(first[1]) else "XML but not a feed"
        raise PollFailed(f"the response is {found}; url must point to JSON or a feed (RSS, Atom, JSON Feed)")
    if not _EMPTY_TAG.match(text, root.start()):
        _check_end(text[root.end() :], root[1])


def _check_end(text: bytes, name: bytes) -> None:
    """A truncated feed lacks the end tag of its root. The parser would return the half item without an error."""
    if not re.search(rb"</%s\s*>" % re.escape(name), _TEXT_PARTS.sub(b"", text), re.IGNORECASE):
        raise PollFailed(f"the feed is truncated: </{name.decode()}> is missing")


def _end_of_doctype(text: bytes) -> int:
    """The offset of the first start tag. Only declarations before it count; an item may contain ``<!ENTITY`` as text.

    Returns 0 if the start is not well-formed XML. feedparser ignores its declarations then.
    """
    from xml.parsers import expat

    def stop(*_: object) -> NoReturn:
        raise _RootReached(parser.CurrentByteIndex)

    parser = expat.ParserCreate("iso-8859-1")  # any encoding: markup is ASCII, and the parser never sees the items
    parser.StartElementHandler = stop
    parser.EntityDeclHandler = _check_entity
    try:
        for at in range(0, _MAX_PROLOG, _CHUNK):  # after an exception, expat reads the rest of the chunk
            parser.Parse(text[at : at + _CHUNK])
    except _RootReached as root:
        return int(root.args[0])
    except expat.ExpatError:
        pass
    return 0


def _check_entity(name: str, is_parameter: bool, value: str | None, *_: object) -> None:
    """XML 1.0, section 4.2. The parser loads no external entity: its ``value`` is None."""
    if value is not None and (is_parameter or _REFERENCE.search(value) or len(value) > MAX_ENTITY_LENGTH):
        raise PollFailed(
            f"the feed declares an XML entity that contains another one or more than {MAX_ENTITY_LENGTH} characters, "
            "which is not supported"
        )
