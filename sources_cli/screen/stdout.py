"""Standard output that cannot show a character, is closed, or is full."""

from __future__ import annotations

import errno
import io
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def print_anything() -> None:
    """No character and no closed stdout is an error: a terminal may not know UTF-8, nor a file name be UTF-8."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 -- for the whole process
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def give_up(error: OSError) -> str:
    """What to tell the user after an error of writing. Empty if nobody reads the output, as in ``sources … | head``.

    Raises any other error again. Python writes the rest of stdout at exit, which must not fail a second time, so the
    rest goes nowhere.
    """
    if error.errno != errno.EPIPE and error.errno not in _FULL:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return "" if error.errno == errno.EPIPE else f"cannot write the output: {error.strerror}"
