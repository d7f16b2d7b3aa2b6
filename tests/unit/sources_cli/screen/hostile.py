"""Text that would control a terminal, or hide what it says."""

from __future__ import annotations

CONTROL = "\x00\x07\x08\r\x0b\x0c\x1b\x7f\x85\x9b\u2028\u2029"
DIRECTION = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"
INVISIBLE = "\u00ad\u034f\u115f\u1160\u180e\u200b\u200c\u200d\u2060\u3164\ufeff\uffa0\U000e0041"
UNSAFE = frozenset(CONTROL + DIRECTION + INVISIBLE)
MARKUP = "http://[fd00::1]:9/ [/x] [red]a[/red] [link=http://b]b[/link] :smile: \\[c]"
WIDE = "漢字"
TEXTS = [
    MARKUP,
    f"a\x1b]0;title\x07\x1b[2Jb\nsources: forged\r{WIDE}",
    f"a{CONTROL}b",
    f"a{DIRECTION}b",
    f"a{INVISIBLE}b",
]


def unsafe(output: str) -> list[str]:
    """The characters of an output that a terminal would not show as text, other than line breaks."""
    return sorted(set(output) & UNSAFE)
