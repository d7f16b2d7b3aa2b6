"""A process that ends together with the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)  # before a fork: after it, another thread may hold a lock of the loader


def end_with_parent(parent: int) -> None:
    """Linux only. Call it in the child process. ``parent``: the id of the process that started it.

    The kernel sends SIGTERM when the parent ends, even if the parent is killed. It sends nothing for a parent that
    ended before this call: the child then has another parent.
    """
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
