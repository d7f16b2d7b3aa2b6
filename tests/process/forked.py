"""Commands of ``sources`` that start at once: a process that has imported the command forks one for each call.

Each command has its own process, standard streams, environment, working directory and exit code. It shares the start of
the interpreter and the imports, which take a second of CPU time.

``python -m tests.process.forked SOCKET`` is the process that forks, with the number of its socket.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

ENVIRON = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
MESSAGE_BYTES = 65536
_OF_THE_START = ("PYTHON", "LC_", "LANG")  # the interpreter reads these variables when it starts


def run(
    words: Sequence[str], cwd: Path, environ: Mapping[str, str], stdin: str, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run ``sources`` with these words to its end; ``environ`` is added to ``ENVIRON``.

    Raises ``subprocess.TimeoutExpired``.
    """
    if any(name.startswith(_OF_THE_START) for name in environ):
        command = [sys.executable, "-m", "sources_cli", *words]
        return subprocess.run(
            command,
            cwd=cwd,
            env=ENVIRON | environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    request = json.dumps({"words": [*words], "cwd": str(cwd), "environ": {**ENVIRON, **environ}}).encode()
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        streams[0].write(stdin.encode())
        streams[0].seek(0)
        code = _parent.run(request, [stream.fileno() for stream in streams], timeout_s)
        output, errors = (os.pread(stream.fileno(), os.fstat(stream.fileno()).st_size, 0) for stream in streams[1:])
    return subprocess.CompletedProcess([*words], code, _text(output), _text(errors))


def _text(octets: bytes) -> str:
    return octets.decode().replace("\r\n", "\n").replace("\r", "\n")


class _Parent:
    """The process that forks; started for the first command, and again after a command that took too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def run(self, request: bytes, streams: Sequence[int], timeout_s: float) -> int:
        with self._lock:
            self._socket = self._socket or self._start()
            self._socket.settimeout(timeout_s)
            try:
                socket.send_fds(self._socket, [request], streams)
                return int(self._socket.recv(MESSAGE_BYTES))
            except TimeoutError:
                self.close()
                raise subprocess.TimeoutExpired(request.decode(), timeout_s) from None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=ENVIRON["PYTHONPATH"],
                env=ENVIRON,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return ours

    def close(self) -> None:
        """Kill it with the command that runs."""
        if self._process and self._socket:
            self._socket.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = self._socket = None


_parent = _Parent()
atexit.register(_parent.close)


def _serve(requests: socket.socket) -> bool:
    """Fork a process for each request. True in such a process; False at the end of the requests."""
    while True:
        message, streams, _, _ = socket.recv_fds(requests, MESSAGE_BYTES, 3)
        if not message:
            return False
        pid = os.fork()
        if pid == 0:
            _become(json.loads(message), streams)
            return True
        for stream in streams:
            os.close(stream)
        requests.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(request: dict[str, str], streams: Sequence[int]) -> None:
    """What differs between two starts of the interpreter for ``-m sources_cli``."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv[1:] = request["words"]


if __name__ == "__main__":
    from celpy.celparser import CELParser

    import sources_cli

    for module in pkgutil.walk_packages(sources_cli.__path__, "sources_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    CELParser()  # builds its grammar when it is first used
    gc.freeze()  # so that a fork at its end frees nothing of what it shares
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        in_child = _serve(requests)
    if in_child:
        runpy.run_module("sources_cli", run_name="__main__", alter_sys=True)
