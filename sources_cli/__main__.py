"""The ``sources`` command. Ctrl-C ends it with exit code 130 and without a traceback, also during the imports.

Imports nothing slow: until the signal handler is set, Python would print a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

END_S = 0.5  # from the last output to the end of the process


def main(argv: list[str] | None = None) -> int:
    signal.signal(signal.SIGINT, _exit)
    from adapter.contract.formats import INTEGER_DIGITS
    from sources_cli.commands import run

    sys.set_int_max_str_digits(INTEGER_DIGITS)  # as the adapter does
    try:
        code = run(argv)
        if threading.active_count() > 1:
            threading.Thread(target=_end, args=(code,), daemon=True).start()
        return code
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of Python takes a moment


def _end(code: int) -> None:
    """End the process even if a lookup of a host name goes on: nothing can stop its thread, and all is written."""
    time.sleep(END_S)
    os._exit(code)


def _exit(*_: object) -> None:
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
