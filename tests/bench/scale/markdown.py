"""Tables in pages of docs/, between the markers ``<!-- measured: NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from adapter.contract.formats import Json

END = "<!-- end -->"


def with_tables(page: Path, tables: Mapping[str, Iterable[str]]) -> str:
    """The text of the page with these tables. ``ValueError``: it has no marker for one."""
    text = page.read_text()
    for name, lines in tables.items():
        marker = f"<!-- measured: {name} -->\n"
        before, found, rest = text.partition(marker)
        if not found:
            raise ValueError(f"{page.name} has no {marker.strip()}")
        body = "\n".join(lines)
        text = f"{before}{marker}{body}\n{END}{rest.partition(END)[2]}"
    return text


def row(*cells: Json) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def line(columns: int) -> str:
    """Between the head and the rows."""
    return f"|{'---|' * columns}"
