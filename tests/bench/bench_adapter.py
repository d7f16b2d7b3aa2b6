"""The real adapter beside the smallest program that posts one CloudEvent, in one run. Prints figures, judges nothing.

Start: from exec to the arrival of the first POST; the adapter ticks every millisecond here, so no wait is counted.
Memory and wake-ups: after one event, with the next tick a minute away. Lost ticks: 10 ms for a minute.
``--ticks 5`` shortens the last part (seconds).
"""

from __future__ import annotations

import argparse
import hashlib
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
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 9
SETTLE_S, IDLE_S = 2.0, 10.0
BASELINE = ["tests/bench/adapter_baseline.py"]
ADAPTER = ["-m", "adapter"]


class Sink:
    """Takes every event; ``arrivals`` holds (seconds on the monotonic clock, sequence)."""

    def __init__(self) -> None:
        self.arrivals: queue.Queue[tuple[float, int]] = queue.Queue()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                arrived = time.monotonic()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                sink.arrivals.put((arrived, json.loads(body)["sequence"]))

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A process that is killed in the middle of a request is no news here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def next(self, wait_s: float = 30) -> tuple[float, int]:
        return self.arrivals.get(timeout=wait_s)

    def forget(self) -> None:
        while not self.arrivals.empty():
            self.arrivals.get_nowait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=float, default=60.0, help="seconds of 10 ms ticks")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {ROUNDS} rounds in turn")
    sink = Sink()
    start = {"baseline": [start_s(sink, BASELINE)], "adapter": [start_s(sink, ADAPTER)]}  # the first one warms up
    for _ in range(ROUNDS):
        start["baseline"].append(start_s(sink, BASELINE))
        start["adapter"].append(start_s(sink, ADAPTER))
    compare("start to first POST, ms", {name: [1e3 * it for it in values[1:]] for name, values in start.items()})
    idle = {name: idle_figures(sink, command) for name, command in (("baseline", BASELINE), ("adapter", ADAPTER))}
    for figure in ("RSS MiB", "private MiB"):
        compare(figure, {name: [values[figure]] for name, values in idle.items()})
    for name, values in idle.items():
        print(f"wake-ups in {IDLE_S:.0f} idle seconds, {name}: {values['wake-ups']:.0f}")
    lost_ticks(sink, options.ticks)


def compare(title: str, figures: dict[str, list[float]]) -> None:
    base = statistics.median(figures["baseline"])
    for name, values in figures.items():
        median = statistics.median(values)
        spread = f"  min {min(values):.1f}  max {max(values):.1f}" if len(values) > 1 else ""
        print(f"{title:26} {name:9} median {median:7.1f}{spread}  ratio {median / base:.2f}")


def start_s(sink: Sink, command: list[str]) -> float:
    sink.forget()
    started = time.monotonic()
    with process(sink, command, INTERVAL="1ms"):
        return sink.next()[0] - started


def idle_figures(sink: Sink, command: list[str]) -> dict[str, float]:
    """RSS counts the pages shared with other Python processes; private is what one more process costs."""
    sink.forget()
    with process(sink, command, INTERVAL="1m", SOURCE_UID="u", SOURCE_CREATED=created(tick_in_s=3)) as child:
        sink.next()
        time.sleep(SETTLE_S)
        before = switches(child.pid)
        time.sleep(IDLE_S)
        after = switches(child.pid)
        return {**memory_mib(child.pid), "wake-ups": after - before}


def lost_ticks(sink: Sink, seconds: float) -> None:
    sink.forget()
    with process(sink, ADAPTER, INTERVAL="10ms") as child:
        first = sink.next()[0]
        sequences: list[int] = []
        while (arrival := sink.next())[0] - first < seconds:
            sequences.append(arrival[1])
        child.send_signal(signal.SIGTERM)
        code = child.wait(30)
    span = sequences[-1] - sequences[0] + 1
    print(f"10 ms ticks for {seconds:.0f} s: {len(sequences)} events of {span} ticks, exit code {code}")


def created(*, tick_in_s: float) -> str:
    """A creation time that puts a tick of uid ``u`` at a one-minute interval about that far ahead."""
    phase_s = int.from_bytes(hashlib.sha256(b"u").digest()) % 60_000_000_000 / 1e9
    return (datetime.now(UTC) + timedelta(seconds=tick_in_s - phase_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def process(sink: Sink, command: list[str], **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = {"PATH": os.environ["PATH"], "K_SINK": sink.url, "HEALTH_PORT": port, **environ}
    with open(os.devnull, "wb") as nothing:
        child = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=env, stderr=nothing)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def switches(pid: int) -> int:
    """How often the process gave up the processor by itself: once for each time it had woken up."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("voluntary_ctxt_switches")]
    return sum(int(line.split()[1]) for line in lines)


def memory_mib(pid: int) -> dict[str, float]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in text}
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return {"RSS MiB": kib["Rss"] / 1024, "private MiB": private / 1024}


if __name__ == "__main__":
    main()
