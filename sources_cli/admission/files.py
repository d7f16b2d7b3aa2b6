"""Reads files that may be of any size and kind: a pipe or a device has no end."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from sources_cli.problem import Problem

STDIN = Path("-")
MAX_BYTES = 10 * 1024 * 1024
_NO_FILES = "the directory contains no .yaml, .yml or .json file that can be read"


def text_of(path: Path) -> str:
    """``Problem`` if the file cannot be read, is larger than ``MAX_BYTES``, or is not UTF-8."""
    try:
        octets = limited(path) if path.is_file() else _read_once(path)
        return octets.decode("utf-8")
    except IsADirectoryError:
        raise Problem(f"{path}: {_NO_FILES}") from None
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Problem(f"{path}: the file is not UTF-8 text") from None


@cache
def _read_once(path: Path) -> bytes:
    """Standard input or a pipe, which ``sources run`` needs again after an edit of another file."""
    return limited(path)


def limited(path: Path) -> bytes:
    """The whole file. ``Problem`` if it is larger than ``MAX_BYTES``, of which no more is read."""
    if path == STDIN:
        octets = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with path.open("rb") as file:
            octets = file.read(MAX_BYTES + 1)
    if len(octets) > MAX_BYTES:
        raise Problem(f"{path}: the file is larger than {MAX_BYTES // 1024 // 1024} MiB; split it")
    return octets
