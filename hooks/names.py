"""Names of Kubernetes objects, and how a value from a spec is looked up and quoted. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import md5
from typing import Any


def get_in(value: Any, *path: str) -> Any:
    """``value[path[0]][path[1]]…``, or None where there is no such thing: what others wrote may have any shape."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


@lru_cache(maxsize=256)
def plural(kind: str) -> str:
    """The resource of a kind by apimachinery's naive rule (``UnsafeGuessKindToResource``)."""
    lower = kind.lower()
    if lower.endswith("endpoints"):
        return lower
    if lower.endswith("s"):
        return lower + "es"
    return lower[:-1] + "ies" if lower.endswith("y") else lower + "s"


@lru_cache(maxsize=256)
def kebab(kind: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind).lower()


@lru_cache(maxsize=4096)
def child_name(parent: str, suffix: str) -> str:
    """Knative's ``kmeta.ChildName``: ``parent + suffix``, shortened with an MD5 to 63 characters (ASCII input)."""
    if len(parent) <= 63 - len(suffix):
        return parent + suffix
    if 31 - len(suffix) <= 0:
        digest = _md5(parent + suffix)
        name = parent[:31] + digest
        return re.sub(r"[^A-Za-z0-9]+$", "", name + suffix[: max(0, 63 - len(name))])
    return parent[: 31 - len(suffix)] + _md5(parent) + suffix


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def quoted(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
