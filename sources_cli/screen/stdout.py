"""Everything that the commands print, except the table of ``sources run``: foreign text cannot control the terminal.

Standard output may not know a character, and may be closed or full.
"""

from __future__ import annotations

import errno
import io
import os
import sys

from adapter.contract.formats import is_visible, printable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def show(line: str) -> None:
    print(printable(line), flush=True)


def show_text(text: str) -> None:
    """A text of several lines that ends with a line break, such as YAML."""
    print("\n".join(map(printable, text.split("\n"))), end="")


def show_json(text: str) -> None:
    """JSON without line breaks. Only its strings can contain a character that is not visible, which is escaped."""
    print("".join(char if is_visible(char) else _escaped(char) for char in text))


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def complain(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def print_anything() -> None:
    """Escape what stdout cannot show, such as a file name that is not UTF-8. A closed stdout takes all output."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 -- for the whole process
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def give_up(error: OSError) -> str:
    """The message about an error of writing; empty if the reader has closed the pipe, as in ``sources … | head``.

    Raises any other error again. Python writes the rest of stdout at exit. To prevent a second error, the rest is
    discarded.
    """
    if error.errno != errno.EPIPE and error.errno not in _FULL:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return "" if error.errno == errno.EPIPE else f"cannot write the output: {error.strerror}"
