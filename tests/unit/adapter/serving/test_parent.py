"""A process ends together with its parent, however the parent ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.deadline import DEADLINE_S

# stdout of the child stays open as long as the child runs, so the test waits for its end.
ORPHAN = """
import os, signal, time
from adapter.serving.parent import end_with_parent
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        time.sleep(0.01)
    print("orphaned", flush=True)
    end_with_parent(parent)
    print("still runs", flush=True)
    os._exit(0)
os.kill(parent, signal.SIGKILL)
"""
CHILD = """
import os, signal, time
from adapter.serving.parent import end_with_parent
parent = os.getpid()
read, write = os.pipe()
if os.fork() == 0:
    end_with_parent(parent)
    print("still runs", flush=True)
    os.write(write, b"x")
    time.sleep(600)
os.read(read, 1)
os.kill(parent, signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_child_whose_parent_ended_before_its_program_began_ends() -> None:
    """The child waits until its parent is killed. Only then it calls what runs between fork and exec."""
    result = subprocess.run(
        [sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert result.returncode == -signal.SIGKILL
    assert result.stdout == "orphaned\n"  # and not "still runs"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_child_of_a_living_parent_runs_and_ends_with_it() -> None:
    result = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert result.returncode == -signal.SIGKILL
    assert result.stdout == "still runs\n"
