"""How Go sees what YAML held: its types, its patterns, its quotes. Pure."""

from __future__ import annotations

import functools
import json
import re
from datetime import datetime
from typing import Any

_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\",
}  # fmt: skip
_END = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^]\\])*\])|\$", re.DOTALL)  # what is captured only looks like one
Json = Any


def shown(value: Json) -> str:
    """As Go's ``%q`` and ``%v`` show it."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return '"' + "".join(_quoted(char) for char in value) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def type_of(value: Json) -> str:
    if isinstance(value, float):
        return "integer" if value.is_integer() and abs(value) < 2**63 else "number"
    if isinstance(value, int) and not isinstance(value, bool):
        return "integer" if -(2**63) <= value < 2**63 else "number"
    names = {bool: "boolean", str: "string", dict: "object", list: "array", type(None): "null"}
    return names[type(value)]


def is_choice(value: Json, choice: Json) -> bool:
    """Go converts before it compares: 1.5 is no integer, but the choice 1."""
    if isinstance(value, float) and isinstance(choice, int):
        value = int(value)
    return bool(value == choice) and isinstance(value, bool) == isinstance(choice, bool)


@functools.cache
def go_pattern(text: str) -> re.Pattern[str]:
    """In Go ``$`` is the end itself, not also the place before a last line end; ``\\s`` and the like are ASCII."""
    return re.compile(_END.sub(lambda found: found[1] or r"\Z", text), re.ASCII)


def is_time(value: Json) -> bool:
    try:
        return "T" in value.upper() and datetime.fromisoformat(value.upper()).tzinfo is not None
    except (AttributeError, ValueError):
        return False
