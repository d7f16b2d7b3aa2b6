"""Files that change while the programs run: tokens, and the mounted ConfigMaps of the hook."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

LEVELS = ("info", "warn", "error")


class Tokens:
    """``current`` is always valid. The file also has the next token, as during a rotation."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._numbers = count(1)
        self._next = self._new()
        self.rotate()

    def rotate(self) -> None:
        self.current, self._next = self._next, self._new()

    def write(self) -> None:
        _replace(self.file, f"{self.current}\n{self._next}\n")

    def _new(self) -> str:
        return f"token-of-the-soak-run-{next(self._numbers)}"


class ConfigMaps:
    """The directory for ``CONFIG_DIR`` of the hook."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._numbers = count()

    def change(self) -> None:
        level = LEVELS[next(self._numbers) % len(LEVELS)]
        (self.directory / "config-logging").mkdir(parents=True, exist_ok=True)
        _replace(self.directory / "config-logging" / "loglevel.sample-source", level)
        _replace(self.directory / "config-logging" / "zap-logger-config", json.dumps({"level": level}))


def _replace(file: Path, text: str) -> None:
    new = file.with_name(f"..{file.name}")
    new.write_text(text)
    new.rename(file)
