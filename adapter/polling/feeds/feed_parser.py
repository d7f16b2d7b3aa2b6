"""feedparser with three changes: it resolves all links, keeps ids as they are, and makes lists of repeated elements.

feedparser has no setting for them, so its two parser classes (one for valid XML, one for other markup) are replaced by
subclasses. Only the process of :mod:`~adapter.polling.feeds.feed_process` imports this module.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin

import feedparser

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_LINKS = ("href", "src", "url")  # attributes; feedparser resolves them only in some elements
_RSS_1_ID = "rdf:about"


class _Changes(feedparser.mixin._FeedParserMixin):  # type: ignore[misc]  # feedparser has no types
    """The changes to both parser classes."""

    guidislink: Any
    _in_id = False
    _plain_key = ""  # of the element that ends, if feedparser has no method for it

    def unknown_starttag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        if attrs:
            base = resolved(self.baseuri, dict(attrs).get("xml:base") or "") or self.baseuri
            attrs = [(name, resolved(base, value) if _is_link(name, value) else value) for name, value in attrs]
        key = self._plain_key_of(tag)
        earlier = self._take(key)
        super().unknown_starttag(tag, attrs)
        self._put_back(key, earlier)

    def unknown_endtag(self, tag: str) -> None:
        self._plain_key = self._plain_key_of(tag)
        super().unknown_endtag(tag)

    def pop(self, element: str, strip_whitespace: int = 1) -> Any:
        self._in_id = element == "id"
        key = element if element == self._plain_key else ""
        earlier = self._take(key)
        value = super().pop(element, strip_whitespace)
        self._put_back(key, earlier)
        self._in_id = False
        return value

    def resolve_uri(self, uri: str) -> str:
        """An id is a name. Only a path is resolved: ``/posts/1``, but not ``1`` or ``tag:example.com,2026:1``."""
        if self._in_id and ("/" not in uri or _SCHEME.match(uri)):
            self.guidislink = self.guidislink and uri.lower().startswith(("http://", "https://"))
            return uri
        return resolved(self.baseuri, uri)

    def _plain_key_of(self, tag: str) -> str:
        """The key of an entry that holds this element; "" if feedparser has a method of its own for the element."""
        prefix, _, name = tag.rpartition(":")
        prefix = self.namespacemap.get(prefix, prefix)
        key = f"{prefix}_{name}" if prefix else name
        return key if self.inentry and _is_plain(key) else ""

    def _take(self, key: str) -> Any:
        """Remove and return the value of an earlier element of this entry, because feedparser would replace it."""
        return self.entries[-1].pop(key, None) if key else None

    def _put_back(self, key: str, earlier: Any) -> None:
        if earlier is not None:
            if key in self.entries[-1]:
                earlier = earlier if isinstance(earlier, list) else [earlier]
                earlier.append(self.entries[-1][key])
            self.entries[-1][key] = earlier


class _Strict(_Changes, feedparser.api.StrictFeedParser):  # type: ignore[misc]  # feedparser has no types
    pass


class _Loose(_Changes, feedparser.api.LooseFeedParser):  # type: ignore[misc]  # feedparser has no types
    pass


feedparser.api.StrictFeedParser, feedparser.api.LooseFeedParser = _Strict, _Loose


@lru_cache(256)
def _is_plain(key: str) -> bool:
    return not any(hasattr(_Changes, f"_{when}_{key}") for when in ("start", "end"))


def _is_link(name: str, value: str) -> bool:
    return name.lower() in _LINKS or (name.lower() == _RSS_1_ID and "/" in value)


def parse(body: bytes, content_type: str, url: str) -> Any:
    """The result of feedparser. ``url``: the base of relative links without ``xml:base``."""
    # As a file: feedparser would open a string that names a file or URL.
    headers = {"content-type": content_type, "content-location": url}
    return feedparser.parse(io.BytesIO(body), response_headers=headers)


def resolved(base: str, uri: str) -> str:
    """``uri`` as an absolute URL. An empty one and an invalid one are returned unchanged."""
    if not uri.strip() or _SCHEME.match(uri.strip()):
        return uri
    try:
        return urljoin(base, uri.strip())
    except ValueError:
        return uri
