"""README.md and docs/ as data: pages, sections, code blocks, commands, tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced code block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Lines that a reader types, without the prompt."""
        return re.findall(r"^\$ (.*)$", self.text, re.MULTILINE)


def page_names() -> list[str]:
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    return (ROOT / name).read_text()


def section(name: str, heading: str) -> str:
    """From a heading (``## Install``) to the next one of the same or a higher level."""
    level = len(heading.partition(" ")[0])
    _, found, rest = f"\n{page(name)}".partition(f"\n{heading}\n")
    assert found, f"{name} has no heading {heading}"
    end = re.search(rf"^#{{1,{level}}} ", _FENCE.sub(lambda fence: re.sub(r"[^\n]", "x", fence[0]), rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def blocks(name: str, heading: str | None = None) -> list[Block]:
    text = page(name) if heading is None else section(name, heading)
    start = page(name).index(text)
    return [
        Block(name, page(name).count("\n", 0, start + match.start()) + 1, match["language"], match["text"])
        for match in _FENCE.finditer(text)
    ]


def commands(name: str, heading: str) -> list[str]:
    """Those of the first console block of a section."""
    return next(block for block in blocks(name, heading) if block.language == "console").commands


def rows(text: str) -> Iterator[list[str]]:
    """The cells of all table rows, heads included."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names_in_first_cells(text: str, pattern: str) -> set[str]:
    """The names in backticks in the first column that match ``pattern``."""
    return {name for cells in rows(text) for name in re.findall(rf"`({pattern})", cells[0])}


def links(name: str) -> list[str]:
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", page(name))))


def anchors(name: str) -> set[str]:
    """As GitHub, GitLab and mkdocs make them of headings."""
    headings = _HEADING.findall(_FENCE.sub("", page(name)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
