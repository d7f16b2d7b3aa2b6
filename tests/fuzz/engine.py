"""One attempt of a target with one input, and the committed inputs of each target.

An input is a byte string. A target passes it to the code, and raises if the code broke a rule. Each input has limits on
CPU time and memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
CPU_S = 2.0  # of one input
MEMORY = 64 * 1024 * 1024  # bytes that one input may take; inputs have at most SIZE bytes
SIZE = 32 * 1024


class TooSlow(BaseException):
    """Code that is tested must not catch it, so it is no ``Exception``."""


class TooLarge(Exception):
    """An input took too much memory."""


@dataclass(frozen=True)
class Target:
    """``check`` raises if an input breaks a rule. ``generated``: inputs that are valid, or wrong in one place."""

    name: str
    check: Callable[[bytes], None]
    generated: st.SearchStrategy[bytes]
    words: tuple[bytes, ...]  # for mutations: what has a meaning for the code
    corpus: Path = CORPUS
    cpu_s: float = CPU_S

    @property
    def directory(self) -> Path:
        return self.corpus / self.name


def attempt(target: Target, data: bytes) -> None:
    """Raises what ``target.check`` raises; :class:`TooSlow` and :class:`TooLarge` beyond the limits."""
    before = _reset_peak()
    with _cpu_limit(target.cpu_s):
        target.check(data)
    if before is not None and (taken := _memory("VmHWM") - before) > MEMORY:
        raise TooLarge(f"{len(data)} bytes of input took {taken // 2**20} MiB of memory")


def require(holds: bool, error: Exception) -> None:
    """A rule about an expected exception."""
    assert holds, repr(error)


def inputs(target: Target) -> list[Path]:
    return sorted(target.directory.iterdir())


def save(directory: Path, data: bytes) -> Path:
    """The file is named by its digest. It becomes a regression test, because the tests replay all files."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


@contextlib.contextmanager
def _cpu_limit(seconds: float) -> Iterator[None]:
    """CPU time, because the machine may be busy with other processes."""

    def stop(*_: object) -> None:
        raise TooSlow(f"took more than {seconds:g} s of CPU time")

    earlier = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)


def _reset_peak() -> int | None:
    """Forget the peak of this process's memory. Returns its memory now; None where the system cannot do it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _memory("VmRSS")
    except OSError:
        return None


def _memory(name: str) -> int:
    """Bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split(maxsplit=1)[0]) * 1024
