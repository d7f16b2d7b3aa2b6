"""Real processes and sockets for tests. Every wait has a deadline, and its error shows the last state."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from adapter.contract.durations import parse_duration
from adapter.model.schedule import Schedule
from sources_cli.local.process import free_port
from tests.deadline import DEADLINE_S
from tests.process import json_http

UID = "u1"


def wait_until(met: Callable[[], Any], what: str, seen: Callable[[], object] = lambda: "") -> Any:
    """The first true value of ``met``."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := met()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {DEADLINE_S} s; last seen: {seen()}")
        threading.Event().wait(0.01)
    return value


def cpu_s(task: str) -> tuple[float, float]:
    """How long a thread had a CPU, and how long it waited for one; 0 where the system does not tell.

    ``task``: its path below ``/proc``; a process id means the main thread.
    """
    try:
        ran, waited, _ = Path("/proc", task, "schedstat").read_text().split()
    except OSError:
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


class Stopped(NamedTuple):
    """How a process ended.

    ``asleep_s``: the part of ``seconds`` in which its main thread needed no CPU. A slow machine does not change this
    part: the process waited for a time limit, for another process or for a thread. So upper bounds are about it.
    """

    code: int
    seconds: float
    asleep_s: float


class Process:
    """A child process whose output is read while it runs."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        env = {"PATH": os.environ["PATH"], **environ}
        self.child = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.errors: list[str] = []
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self.lines.put(line)

    def _read_errors(self) -> None:
        assert self.child.stderr
        for line in self.child.stderr:
            self.errors.append(line)

    def line(self) -> str:
        try:
            return self.lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"no line within {DEADLINE_S} s; stderr: {self.errors}") from None

    def event(self) -> dict[str, Any]:
        """The next event that a display shows."""
        return dict(json.loads(self.line()))

    def wait_for_log(self, words: str) -> dict[str, Any]:
        """Wait for a line in the log of an adapter whose message contains ``words``."""

        def find() -> str | None:
            return next((line for line in self.errors if words in json.loads(line)["msg"]), None)

        return dict(json.loads(wait_until(find, f"log line {words!r}", lambda: self.errors)))

    def logged(self, words: str) -> list[dict[str, Any]]:
        """The lines of an adapter's log so far whose message contains ``words``."""
        lines = [json.loads(line) for line in list(self.errors)]
        return [line for line in lines if words in line["msg"]]

    def memory_kib(self, field: str = "VmRSS") -> int:
        """``VmRSS`` is the memory now, ``VmHWM`` the peak."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))

    def stop(self, number: int = signal.SIGTERM) -> Stopped:
        self.child.send_signal(number)
        return self.stopped()

    def stopped(self) -> Stopped:
        """Wait for the end; the times are from this call on."""
        started, busy_s = time.monotonic(), self._busy_s()
        wait_until(self._is_over, "its end", lambda: self.errors)
        took_s = time.monotonic() - started
        asleep_s = took_s - (self._busy_s() - busy_s)
        return Stopped(self.ended(), took_s, asleep_s)

    def _is_over(self) -> bool:
        """Whether it has ended. Its exit code is still to be read, so ``/proc`` still describes it."""
        return os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _busy_s(self) -> float:
        return sum(cpu_s(str(self.child.pid)))

    def ended(self) -> int:
        """Wait for the end; return the exit code. ``errors`` is complete then."""
        try:
            code = self.child.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {DEADLINE_S} s; stderr: {self.errors}") from None
        for reader in self._readers:
            reader.join()
        return code

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.child.stdout, self.child.stderr):
            assert pipe
            pipe.close()


Start = Callable[..., Process]


@contextmanager
def processes() -> Iterator[Start]:
    """Starts processes, and kills them at the end."""
    started: list[Process] = []

    def start(*arguments: str, **environ: str) -> Process:
        started.append(Process(*arguments, **environ))
        return started[-1]

    try:
        yield start
    finally:
        for process in reversed(started):
            process.close()


@dataclass
class RunningHook:
    url: str
    process: Process

    @property
    def health_url(self) -> str:
        return f"http://127.0.0.1:{self.process.wait_for_log('listening')['health_port']}"

    def healthz(self) -> Any:
        status, answer = self.call("/healthz", url=self.health_url)
        assert status == 200
        return answer

    def call(self, path: str, body: bytes | None = None, method: str | None = None, url: str = "") -> tuple[int, Any]:
        """Status and the one JSON value of the answer."""
        return json_http.call((url or self.url) + path, body, method, {"Content-Type": "application/json"})


@contextmanager
def running_hook(**environ: str) -> Iterator[RunningHook]:
    """The real ``python -m hooks``. It must end on SIGTERM with exit code 0, and each line of its log is JSON."""
    port = free_port()
    with processes() as start:
        own = {"ADAPTER_IMAGE": "adapter:1", "HOST": "127.0.0.1", "PORT": str(port), "HEALTH_PORT": "0"}
        process = start("hooks", **own | environ)
        wait_until(lambda: listens(port), f"the hook on port {port}", lambda: process.errors)
        yield RunningHook(f"http://127.0.0.1:{port}", process)
        assert process.stop()[0] == 0, process.errors
        assert all(line.startswith("{") for line in process.errors), process.errors


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def display(start: Start, *faults: str) -> tuple[Process, str]:
    process = start("adapter.display", "--port", "0", "--format", "jsonl", *faults)
    (line,) = wait_until(lambda: process.errors[:1], "display's port", lambda: process.errors)
    return process, f"http://127.0.0.1:{int(line.rpartition(' ')[2])}"


class Adapter:
    """A SampleSource process with the uid u1."""

    def __init__(self, start: Start, sink: str, interval: str = "100ms", **environ: str) -> None:
        self.port = free_port()
        own = {"SOURCE_UID": UID, "SOURCE_CREATED": soon(interval), "EVENT_SOURCE": "/a/b", "INTERVAL": interval}
        self.process = start("adapter", K_SINK=sink, HEALTH_PORT=str(self.port), **(own | environ))

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, series: str) -> float:
        """The sum of the values whose line begins with ``series``; 0 while the adapter does not answer."""
        return self.metrics(series)[0]

    def metrics(self, *series: str) -> list[float]:
        """As ``metric``, for several series at the same moment."""
        try:
            lines = self.get("/metrics")[1].splitlines()
        except OSError:
            lines = []
        return [sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(each)) for each in series]

    def wait_for(self, series: str, least: float = 1) -> None:
        wait_until(lambda: self.metric(series) >= least, f"{series} >= {least}", lambda: self.process.errors)

    def attempts(self, code: str) -> float:
        return self.metric(attempts(code))

    def wait_for_attempts(self, code: str, least: float = 1) -> None:
        self.wait_for(attempts(code), least)

    def assert_log_is_json(self) -> None:
        """Every line is JSON, so there is no traceback and no warning of the interpreter."""
        for line in self.process.errors:
            assert line.startswith("{"), self.process.errors
            assert "Traceback" not in line, self.process.errors


def attempts(code: str) -> str:
    """The series that counts the delivery attempts with this code; all attempts if it is empty."""
    return "source_delivery_attempts_total{" + (f'code="{code}"' if code else "")


def soon(interval: str) -> str:
    """A creation time with tick 0 one second from now, when a new adapter is ready."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    phase = Schedule.of(UID, epoch, parse_duration(interval)).due(0) - epoch
    return (datetime.now(UTC) + timedelta(seconds=1) - phase).isoformat()


class ScriptedSink:
    """A socket server that records requests and lets ``script`` write the responses.

    ``script(connection, n)`` is called once request n (from 0) has been read whole.
    """

    def __init__(self, script: Callable[[socket.socket, int], None], context: ssl.SSLContext | None = None) -> None:
        sink = self
        numbering = threading.Lock()
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.stopped = threading.Event()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    connection = context.wrap_socket(self.request, server_side=True) if context else self.request
                    with connection:
                        request = _read_request(connection)
                        with numbering:
                            sink.requests.append(request)
                            n = len(sink.requests) - 1
                        script(connection, n)
                except (OSError, EOFError):
                    pass  # the adapter closed the connection, or did not trust the certificate

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> ScriptedSink:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def ids(self) -> list[str]:
        return [headers["ce-id"] for headers, _ in self.requests]

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.requests) >= count, f"{count} requests", lambda: self.requests)


def _read_request(connection: socket.socket) -> tuple[dict[str, str], bytes]:
    octets = b""
    while b"\r\n\r\n" not in octets:
        octets += _more(connection)
    head, _, body = octets.partition(b"\r\n\r\n")
    pairs = (line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:])
    headers = {name.lower(): value for name, value in pairs}
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return headers, body


def _more(connection: socket.socket) -> bytes:
    octets = connection.recv(65536)
    if not octets:
        raise EOFError
    return octets
