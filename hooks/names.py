"""Names of Kubernetes objects: their patterns, and the names of children. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import md5

from adapter.contract.formats import Json
from adapter.contract.kind_names import MAX_API_VERSION, MAX_LABEL, MAX_NAME

# Patterns for ``fullmatch`` with ``re.ASCII`` and for ``matches`` of CEL, which has no lookahead.
_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1123: a namespace, a Service
DNS_SUBDOMAIN = rf"{_PART}(\.{_PART})*"  # RFC 1123, at most 253 characters: most other objects
API_VERSION = r"([a-z0-9.-]+/)?v[a-z0-9]+"
KIND = "[A-Za-z][A-Za-z0-9]*"
_DNS_LABEL, _DNS_SUBDOMAIN, _API_VERSION, _KIND = (
    re.compile(pattern, re.ASCII) for pattern in (DNS_LABEL, DNS_SUBDOMAIN, API_VERSION, KIND)
)


def is_dns_label(text: str) -> bool:
    return bool(_DNS_LABEL.fullmatch(text))


def is_dns_subdomain(text: str) -> bool:
    return len(text) <= MAX_NAME and bool(_DNS_SUBDOMAIN.fullmatch(text))


def is_api_version(text: str) -> bool:
    return len(text) <= MAX_API_VERSION and bool(_API_VERSION.fullmatch(text))


def is_kind(text: str) -> bool:
    return len(text) <= MAX_LABEL and bool(_KIND.fullmatch(text))


def get_in(value: Json, *path: str) -> Json:
    """``value[path[0]][path[1]]…``, or None if a part is missing or is not an object."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def list_in(value: Json, *path: str) -> list[Json]:
    """As :func:`get_in`; empty if the value is not a list."""
    found = get_in(value, *path)
    return found if isinstance(found, list) else []


@lru_cache(maxsize=4096)
def child_name(parent: str, suffix: str) -> str:
    """``parent + suffix``, shortened with an MD5 to 63 characters as Knative's ``kmeta.ChildName`` does (ASCII)."""
    if len(parent) <= 63 - len(suffix):
        return parent + suffix
    if 31 - len(suffix) <= 0:
        digest = _md5(parent + suffix)
        name = parent[:31] + digest
        return re.sub(r"[^A-Za-z0-9]+$", "", name + suffix[: max(0, 63 - len(name))])
    return parent[: 31 - len(suffix)] + _md5(parent) + suffix


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
