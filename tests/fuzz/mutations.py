"""Inputs that differ a little from committed ones: as bytes, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, "", "\ud800", "\x00", "\x1b[2J", "a" * 300, [], {}, [[]], {"": {}},
)  # fmt: skip
ODD_BYTES = (b"\x00", b"\xff", b"\r\n", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"9" * 400, b"[" * 2000, b"{", b'"', b"\\")


def mutated(random: Random, corpus: Sequence[bytes], words: Sequence[bytes], size: int) -> bytes:
    """One input of the corpus after one to four changes, at most ``size`` bytes."""
    data = random.choice(corpus)
    for _ in range(random.randint(1, 4)):
        changed = _change_json(random, data) if random.random() < 0.5 else None
        data = _change_bytes(random, data, random.choice(corpus), words) if changed is None else changed
    return data[:size]


def _change_bytes(random: Random, data: bytes, other: bytes, words: Sequence[bytes]) -> bytes:
    start = random.randint(0, len(data))
    end = min(len(data), start + random.choice((0, 1, 1, 2, 8, 64)))
    cut = random.randint(0, len(other))
    piece = random.choice(
        (
            random.choice((*words, *ODD_BYTES)),
            other[cut : cut + random.randint(1, 64)],
            bytes([random.randrange(256)]),
            data[start:end] * random.choice((0, 2, 50)),
            b"",
        )
    )
    return data[:start] + piece + data[end:]


def _change_json(random: Random, data: bytes) -> bytes | None:
    """Change one value of the JSON after the first line, or of the whole input. None if there is no JSON."""
    head, separator, text = data.rpartition(b"\n{") if b"\n{" in data else (b"", b"", data)
    try:
        value = json.loads(separator[1:] + text)
    except (ValueError, RecursionError):
        return None
    places = list(_places(value))
    if not places:
        return None
    container, key = random.choice(places)
    _, other = random.choice(places), random.choice(places)
    action = random.randrange(4)
    if action == 0:
        del container[key]
    elif action == 1:
        container[key] = random.choice(ODD_VALUES)
    elif action == 2:
        container[key] = json.loads(json.dumps(other[0][other[1]]))
    elif isinstance(container, dict):
        container[f"{key}x"] = container.pop(key)
    return head + separator[:1] + json.dumps(value).encode()


def _places(value: Any) -> Any:
    """Each (container, key) in ``value``."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in list(members):
        yield value, key
        yield from _places(member)


def shortened(data: bytes, fails: Any, attempts: int = 300) -> bytes:
    """A shorter input for which ``fails`` is still true: pieces are left out, first large ones."""
    piece = max(1, len(data) // 2)
    while piece and attempts > 0:
        at = 0
        while at < len(data) and attempts > 0:
            attempts -= 1
            shorter = data[:at] + data[at + piece :]
            if fails(shorter):
                data = shorter
            else:
                at += piece
        piece //= 2
    return data
