"""Standard output that cannot show a character, is closed, or is full."""

from __future__ import annotations

import errno
import io
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


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
