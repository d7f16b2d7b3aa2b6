"""Which texts Kubernetes' CEL takes for an http(s) URL: ``isURL`` is Go's ``url.ParseRequestURI`` (Go 1.26). Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

_URL = re.compile(
    r"(?i:https?)://(?:(?P<user>[^/?]*)@)?(?P<host>[^/?@]*)(?P<path>/[^?]*)?(?:\?.*)?", re.ASCII | re.DOTALL
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%@:-]*", re.ASCII)
_ASCII_ESCAPE = re.compile(r"%[0-7]", re.ASCII)  # a host may hold escapes of bytes beyond ASCII only
_NOT_IN_HOST = re.compile(r"[\x00-\x20#/?@\\^`{|}\x7f]")


def is_http_url(text: str) -> bool:
    """An absolute URL with the scheme http or https and a host."""
    parts = _URL.fullmatch(text)
    if parts is None or _BAD_ESCAPE.search(text.partition("?")[0]):
        return False
    user = parts["user"]
    return (user is None or bool(_USER.fullmatch(user))) and _is_host(parts["host"])


def _is_host(host: str) -> bool:
    if host.startswith("["):
        address, bracket, port = host[1:].rpartition("]")
        return bool(bracket) and _is_port(port) and _is_ipv6(address)
    name, colon, port = host.rpartition(":") if ":" in host else (host, "", "")
    return (
        bool(name)
        and _is_port(colon + port)
        and not any(char in name for char in ":[]")
        and not _NOT_IN_HOST.search(name)
        and not _ASCII_ESCAPE.search(name.replace("%25", ""))
    )


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r"(:[0-9]*)?", text, re.ASCII))


def _is_ipv6(text: str) -> bool:
    address, _, _ = text.partition("%25")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True
