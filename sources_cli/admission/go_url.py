"""URLs as Kubernetes' CEL library parses them: ``url.ParseRequestURI`` and ``url.Parse`` of Go 1.26. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

_SCHEME = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
_AUTHORITY = r"//((?P<user>[^/?]*)@)?(?P<host>[^/?@]*)"
_REST = r"(?P<path>[^?]*)(\?(?P<query>.*))?"
_REQUEST_URI = re.compile(rf"({_SCHEME}({_AUTHORITY})?)?{_REST}", re.ASCII | re.DOTALL)
_URL = re.compile(rf"({_SCHEME})?({_AUTHORITY})?{_REST}", re.ASCII | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%@:-]*", re.ASCII)
_PORT = re.compile(r":[0-9]*$", re.ASCII)
# In a host, only bytes beyond ASCII and "%" may be percent-encoded.
_NAME = re.compile(r"([^\x00-\x20#/?@\\^`{|}\x7f:%\[\]]|%25|%[89A-Fa-f][0-9A-Fa-f])*", re.ASCII)


@dataclass(frozen=True)
class Url:
    scheme: str
    host: str  # with the port
    path: str
    query: str

    @property
    def hostname(self) -> str:
        return _PORT.sub("", self.host).strip("[]")

    @property
    def port(self) -> str:
        return self.host[len(_PORT.sub("", self.host)) + 1 :]


def request_uri(text: str) -> Url | None:
    """``ParseRequestURI``: an absolute URL, or a path that begins with ``/``. ``#`` does not begin a fragment."""
    url = _parsed(_REQUEST_URI, text)
    is_absolute = url and (url.scheme or url.path.startswith("/") or text == "*")
    return url if is_absolute and not _CONTROL.search(text) else None


def absolute_url(text: str) -> Url | None:
    """``url()`` of Kubernetes: ``ParseRequestURI`` must succeed, and ``Parse`` gives the parts."""
    text_before, _, fragment = text.partition("#")
    return _parsed(_URL, text_before) if request_uri(text) and not _BAD_ESCAPE.search(fragment) else None


def _parsed(pattern: re.Pattern[str], text: str) -> Url | None:
    parts = pattern.fullmatch(text)
    assert parts is not None  # every part may be empty
    scheme, user, host, path, query = (parts[name] or "" for name in ("scheme", "user", "host", "path", "query"))
    if scheme and parts["host"] is None and not path.startswith("/"):
        return Url(scheme.lower(), "", "", query)  # opaque, like mailto:a@b
    if _BAD_ESCAPE.search(text.partition("?")[0]) or not _USER.fullmatch(user) or not _is_host(host, scheme.lower()):
        return None
    return Url(scheme.lower(), host, path, query)


def _is_host(host: str, scheme: str) -> bool:
    name = _PORT.sub("", host)
    if not name.startswith("["):
        more_colons = scheme not in ("http", "https") and name != host
        return bool(_NAME.fullmatch(name.replace(":", "") if more_colons else name))
    address, _, zone = name[1:-1].partition("%25")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return name.endswith("]") and bool(_NAME.fullmatch(zone))
