"""Compare the adapter with the smallest program that posts one CloudEvent. Both run in turn; prints figures.

Start: wall clock and CPU from exec to the first POST; the interval is one millisecond, so no wait for a tick counts.
Memory and wake-ups: measured one second after an event and ten seconds later; the next tick is a minute away.
Lost ticks: an interval of 10 ms for a minute; ``--ticks 5`` shortens this part to 5 seconds.
``AGAINST=DIRECTORY`` measures the adapter of another checkout, too, as ``previous``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from adapter.contract.durations import parse_duration
from adapter.contract.formats import EPOCH
from adapter.model.schedule import Schedule

ROOT = Path(__file__).resolve().parents[2]
STARTS, IDLES = 11, 3  # rounds
SETTLE_S, IDLE_S = 1.0, 10.0
ADAPTER = ["-m", "adapter"]
PROGRAMS = {"baseline": (ROOT, ["tests/bench/adapter_baseline.py"]), "adapter": (ROOT, ADAPTER)}
if os.environ.get("AGAINST"):
    PROGRAMS["previous"] = (Path(os.environ["AGAINST"]), ADAPTER)
MEMORY_RATIO, START_RATIO = 1.1, 1.0  # targets

Figures = dict[str, float]
Program = tuple[Path, list[str]]  # working directory, arguments of Python


@dataclass(frozen=True)
class Arrival:
    at_s: float  # monotonic clock
    cpu_s: float  # CPU time of the sender up to then
    sequence: int


class Sink:
    """Accepts every event; reads the CPU time of the process ``sender`` at each."""

    def __init__(self) -> None:
        self.arrivals: queue.Queue[Arrival] = queue.Queue()
        self.sender = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                at_s, used_s = time.monotonic(), cpu_s(sink.sender)  # the sender waits for the answer
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                sink.arrivals.put(Arrival(at_s, used_s, json.loads(body)["sequence"]))

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Ignore errors: the programs are killed during requests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def next(self, wait_s: float = 30) -> Arrival:
        return self.arrivals.get(timeout=wait_s)

    def taken(self) -> list[Arrival]:
        """The events that arrived and were not returned yet."""
        return [self.arrivals.get_nowait() for _ in range(self.arrivals.qsize())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=float, default=60.0, help="seconds of 10 ms ticks")
    options = parser.parse_args()
    sink = Sink()
    print(f"{cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    print(f"median (min to max) of {STARTS} starts and of {IDLES} idle processes each, in turn; ratio round by round")
    rounds(sink, start_figures, 1)  # warms up: byte code, page cache
    starts = rounds(sink, start_figures, STARTS)
    compare("start to first POST, ms", starts, START_RATIO)
    compare("CPU to first POST, ms", starts, START_RATIO)
    idles = rounds(sink, idle_figures, IDLES)
    for when in ("after an event", "idle"):
        for name in ("RSS", "PSS", "private", "anonymous"):
            compare(f"{name} {when}, MiB", idles, MEMORY_RATIO)
    for figure in (f"wake-ups in {IDLE_S:.0f} idle s", f"CPU in {IDLE_S:.0f} idle s, ms"):
        spent = [values[figure] for values in idles["adapter"]]
        print(f"{figure:28} {', '.join(f'{amount:.0f}' for amount in spent)}  target 0: {verdict(not any(spent))}")
    lost_ticks(sink, options.ticks)


def rounds(sink: Sink, measure: Callable[[Sink, Program], Figures], count: int) -> dict[str, list[Figures]]:
    figures: dict[str, list[Figures]] = {name: [] for name in PROGRAMS}
    for _ in range(count):
        for name, program in PROGRAMS.items():
            figures[name].append(measure(sink, program))
    return figures


def compare(figure: str, figures: dict[str, list[Figures]], aim: float) -> None:
    base, ours = ([values[figure] for values in figures[name]] for name in ("baseline", "adapter"))
    ratio = statistics.median(value / floor for value, floor in zip(ours, base, strict=True))
    columns = "  ".join(f"{name} {spread([each[figure] for each in values]):24}" for name, values in figures.items())
    print(f"{figure:28} {columns}  ratio {ratio:.2f}  target {aim}: {verdict(ratio <= aim)}")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):6.1f} ({min(values):.1f} to {max(values):.1f})"


def verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def start_figures(sink: Sink, program: Program) -> Figures:
    started = time.monotonic()
    with process(sink, program, INTERVAL="1ms"):
        first = sink.next()
    return {"start to first POST, ms": 1e3 * (first.at_s - started), "CPU to first POST, ms": 1e3 * first.cpu_s}


def idle_figures(sink: Sink, program: Program) -> Figures:
    """RSS includes pages shared with other Python processes; private memory is the cost of one more process."""
    with process(sink, program, INTERVAL="1m", SOURCE_UID="u", SOURCE_CREATED=created(tick_in_s=3)) as child:
        sink.next()
        time.sleep(SETTLE_S)
        figures = memory_mib(child.pid, "after an event")
        switches, used_s = switches_of(child.pid), cpu_s(child.pid)
        time.sleep(IDLE_S)
        figures[f"wake-ups in {IDLE_S:.0f} idle s"] = switches_of(child.pid) - switches
        figures[f"CPU in {IDLE_S:.0f} idle s, ms"] = 1e3 * (cpu_s(child.pid) - used_s)
        return {**figures, **memory_mib(child.pid, "idle")}


def lost_ticks(sink: Sink, seconds: float) -> None:
    """Compare the ticks due in the period with the sequence numbers that arrive. A slow machine may lose some."""
    with process(sink, PROGRAMS["adapter"], INTERVAL="10ms") as child:
        arrivals = [first := sink.next()]
        while arrivals[-1].at_s - first.at_s < seconds:
            arrivals.append(sink.next())
        child.send_signal(signal.SIGTERM)
        code = child.wait(30)
        arrivals += sink.taken()
    numbers = [arrival.sequence for arrival in arrivals]
    due = set(range(numbers[0], numbers[-1] + 1))
    missing, twice = sorted(due - set(numbers)), len(numbers) - len(set(numbers))
    reached = verdict(not missing and not twice and code == 0)
    print(f"10 ms ticks for {seconds:.0f} s: {len(due)} due, {len(missing)} lost {missing[:10]}, {twice} sent twice;")
    print(f"exit code {code} after SIGTERM; target: none lost, exit code 0: {reached}")


def created(*, tick_in_s: float, interval: str = "1m") -> str:
    """A creation time with which uid ``u`` and this interval have a tick in about ``tick_in_s`` seconds."""
    tick = datetime.now(UTC) + timedelta(seconds=tick_in_s)
    phase = Schedule.of("u", EPOCH, parse_duration(interval)).due(0) - EPOCH
    return (tick - phase).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def process(
    sink: Sink, program: Program, enter: Callable[[], object] | None = None, **environ: str
) -> Iterator[subprocess.Popen[bytes]]:
    """``enter`` runs in the new process before the program."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = {"PATH": os.environ["PATH"], "K_SINK": sink.url, "EVENT_SOURCE": "/a/b", "HEALTH_PORT": port, **environ}
    root, arguments = program
    env["PYTHONPATH"] = str(root)
    words = [sys.executable, *arguments]
    child = subprocess.Popen(words, cwd=root, env=env, stderr=subprocess.DEVNULL, preexec_fn=enter)
    sink.sender = child.pid
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        sink.taken()


def switches_of(pid: int) -> int:
    """The context switches of all threads. An unchanged number means that the process did not wake up."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if "ctxt_switches" in line)


def cpu_s(pid: int) -> float:
    """CPU time of all threads in seconds, with the nanosecond resolution of the scheduler."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def memory_mib(pid: int, when: str) -> Figures:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    private_kib = kib["Private_Clean"] + kib["Private_Dirty"]
    amounts = {"RSS": kib["Rss"], "PSS": kib["Pss"], "private": private_kib, "anonymous": kib["Anonymous"]}
    return {f"{name} {when}, MiB": amount / 1024 for name, amount in amounts.items()}


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
