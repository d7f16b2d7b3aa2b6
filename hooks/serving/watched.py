"""Files that may change while the hook runs, such as mounted Secrets. No timer and no thread looks at them.

Whoever asks for the content compares the files with those of the last time, which takes some microseconds. So a change
applies from the next connection or request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

log = logging.getLogger("hooks")
T = TypeVar("T")
Stamp = tuple[tuple[int, ...] | None, ...]


class Unusable(ValueError):
    """The content of a file cannot be used. The text says what to write, and shows nothing of the content."""


class Watched(Generic[T]):
    """What ``read`` makes of ``files``. ``setting``: the environment variable that names them.

    If ``read`` raises ``Unusable`` after a change, the last valid value stays. The first time, the error is raised.
    """

    def __init__(self, setting: str, files: Sequence[Path], read: Callable[[], T]) -> None:
        self._setting, self._files, self._read = setting, files, read
        self._problem = ""
        self._stamp = _stamp(files)
        self._value = read()

    @property
    def value(self) -> T:
        if _stamp(self._files) != self._stamp:
            self._read_again()
        return self._value

    @property
    def problem(self) -> str:
        """Why the files are not in use; empty if they are."""
        _ = self.value
        return f"{self._setting}: {self._problem}; the last valid content stays in use" if self._problem else ""

    def _read_again(self) -> None:
        problem = ""
        while (stamp := _stamp(self._files)) != self._stamp:  # they may change while they are read
            self._stamp = stamp
            try:
                self._value, problem = self._read(), ""
            except Unusable as error:
                problem = str(error)
        if problem and problem != self._problem:
            fields = {"setting": self._setting, "error": problem}
            log.warning("a file is invalid; its last valid content stays in use", extra={"fields": fields})
        if not problem:
            log.info("a changed file is in use", extra={"fields": {"setting": self._setting}})
        self._problem = problem


def _stamp(files: Sequence[Path]) -> Stamp:
    """Differs after a change, also if a symbolic link leads to another file."""
    return tuple(map(_stamp_of, files))


def _stamp_of(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size
