"""What a program imports and who asks for it, from the output of ``python -X importtime``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LINE = re.compile(r"import time:\s+\d+ \|\s+\d+ \| ( *)(\S+)")


@dataclass(frozen=True)
class Imports:
    """``importer``: of each module, the module whose import statement loaded it; the program itself is empty."""

    importer: dict[str, str]

    @classmethod
    def read(cls, lines: Iterable[str]) -> Imports:
        """Python writes a line when an import ends, so the importer of a module comes later and is indented less."""
        importer: dict[str, str] = {}
        waiting: list[tuple[int, str]] = []  # modules whose importer has not come yet
        for depth, name in _modules(lines):
            while waiting and waiting[-1][0] > depth:
                importer[waiting.pop()[1]] = name
            waiting.append((depth, name))
        return cls({**{name: "" for _, name in waiting}, **importer})

    def chain(self, name: str) -> str:
        """``a, imported by b, imported by c``."""
        found = [name]
        while (name := self.importer[name]) and name not in found:
            found.append(name)
        return ", imported by ".join(found)

    def largest(self, count: int) -> list[str]:
        """The modules that bring the most other ones, each with its number."""
        sizes: Counter[str] = Counter()
        for name in self.importer:
            while name := self.importer[name]:
                sizes[name] += 1
        return [f"{self.chain(name)}: {size} modules" for name, size in sizes.most_common(count)]


def _modules(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for line in lines:
        if found := LINE.match(line):
            yield len(found[1]), found[2]
