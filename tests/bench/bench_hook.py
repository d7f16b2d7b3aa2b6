"""CPU time of the hook per 16 KB /sync request, compared with plain FastAPI routes. Prints figures, has no target.

Two uvicorn processes answer in turn. CPU is the user and system time of the server process. ``AGAINST=DIRECTORY``
measures the hook of another checkout, too, as ``previous``.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, REQUESTS = 7, 400
QUERY = "?types=dev.knative.sample"  # as Metacontroller sends it


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        answer = Path(directory) / "answer.json"
        with server(["hooks"], {"ADAPTER_IMAGE": "adapter:1"}) as (pid, port):
            first = json.loads(post(port, f"/sync{QUERY}", body_of(0)))
            body = body_of(16_000, first)
            answer.write_bytes(post(port, f"/sync{QUERY}", body))
            with server(["uvicorn", "tests.bench.hook_baseline:app"], {"BENCH_ANSWER": str(answer)}) as (
                base,
                base_port,
            ):
                targets = {
                    "bare Request route": (base, base_port, f"/sync{QUERY}"),
                    "hook": (pid, port, f"/sync{QUERY}"),
                    "body: Model": (base, base_port, f"/model{QUERY}"),
                    "body: dict": (base, base_port, f"/dict{QUERY}"),
                }
                if previous := os.environ.get("AGAINST"):
                    running = stack.enter_context(server(["hooks"], {"ADAPTER_IMAGE": "adapter:1"}, Path(previous)))
                    targets["previous"] = (*running, f"/sync{QUERY}")
                report(measure(targets, body), len(body), rss_mib(pid))


def measure(targets: dict[str, tuple[int, int, str]], body: bytes) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {name: [] for name in targets}
    for round_number in range(ROUNDS + 1):
        for name, (pid, port, path) in targets.items():
            before = cpu_s(pid)
            connection = http.client.HTTPConnection("127.0.0.1", port)
            for _ in range(REQUESTS):
                exchange(connection, path, body)
            connection.close()
            if round_number:  # the first round warms up
                figures[name].append((cpu_s(pid) - before) / REQUESTS * 1e6)
    return figures


def report(figures: dict[str, list[float]], size: int, rss: float) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; body {size} bytes")
    print(f"{ROUNDS} rounds of {REQUESTS} requests on one connection; CPU µs per request; ratio round by round")
    base = figures["bare Request route"]
    for name, values in figures.items():
        ratio = statistics.median(value / floor for value, floor in zip(values, base, strict=True))
        low, high = min(values), max(values)
        print(f"{name:20} median {statistics.median(values):6.0f}  min {low:6.0f}  max {high:6.0f}  ratio {ratio:.2f}")
    print(f"hook RSS {rss:.1f} MiB")


def body_of(size: int, answer: Any = None) -> bytes:
    """The recorded request, with the hook's answer as the observed children, padded with managedFields to ``size``."""
    request = json.loads((ROOT / "tests/contract/sync-request.json").read_text())
    if answer:
        request["parent"]["status"] = answer["status"]
        request["children"]["Deployment.apps/v1"] = {
            "default/" + child["metadata"]["name"]: child for child in answer["children"]
        }
    entry = {"manager": "kubectl", "operation": "Apply", "fieldsV1": {f"f:field{n}": {".": {}} for n in range(40)}}
    fields = request["parent"]["metadata"].setdefault("managedFields", [])
    while len(body := json.dumps(request).encode()) < size:
        fields.append(entry)
    return body


@contextmanager
def server(module: list[str], environ: dict[str, str], root: Path = ROOT) -> Iterator[tuple[int, int]]:
    port = free_port()
    options = ["--port", str(port), "--http", "httptools", "--no-access-log", "--log-level", "error"]
    command = [sys.executable, "-m", *module, *(options if module[0] == "uvicorn" else [])]
    environ = {**os.environ, **environ, "HOST": "127.0.0.1", "PORT": str(port), "HEALTH_PORT": "0"}
    process = subprocess.Popen(command, cwd=root, env=environ)
    try:
        wait_for(port)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port} after 20 s")


def post(port: int, path: str, body: bytes) -> bytes:
    return exchange(http.client.HTTPConnection("127.0.0.1", port), path, body)


def exchange(connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise SystemExit(f"{path} answered {response.status}: {answer[:200]!r}")
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """CPU time in seconds, from the scheduler's nanoseconds; /proc/<pid>/stat has only 1/100 s."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
