"""Requests per second and latency of the hook with 50 connections, for requests of 4, 16 and 30 KB. Prints figures.

Beside it: a plain FastAPI route that parses the same model and returns a fixed answer, and the ceiling, a raw ASGI
application that does the same without FastAPI (with pydantic: the project does not depend on msgspec). All run under
uvicorn with httptools, in turn. Each connection sends its next request when it has an answer. ``AGAINST=DIRECTORY``
measures the hook of another checkout, too, as ``previous``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.bench_hook import QUERY, body_of, cpu_s, post, server

SIZES = (4_000, 16_000, 30_000)  # bytes; the smallest is the first request for a source, without a Deployment
CONNECTIONS = 50
WARM_UP_S = 0.5
Target = tuple[int, int, str]  # process id, port, path


class Connection(asyncio.Protocol):
    """Sends the same request until ``stop`` and notes how long each answer took."""

    def __init__(self, request: bytes, seconds: list[float]) -> None:
        self._request, self._seconds = request, seconds
        self._buffer = b""
        self.ended = asyncio.get_running_loop().create_future()
        self.stop = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.ended.set_exception(AssertionError(self._buffer[:300]))
            return
        self._seconds.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        if self.stop:
            self._transport.close()
            self.ended.set_result(None)
        else:
            self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)


async def load(target: Target, body: bytes, seconds: float) -> tuple[float, float, float]:
    """Requests per second, the 99th percentile of the latency in ms, and CPU time per request in µs."""
    pid, port, path = target
    head = (
        f"POST {path} HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    took: list[float] = []
    loop, request = asyncio.get_running_loop(), head.encode() + body
    made = [
        await loop.create_connection(lambda: Connection(request, took), "127.0.0.1", port) for _ in range(CONNECTIONS)
    ]
    connections = [protocol for _, protocol in made]
    await asyncio.sleep(WARM_UP_S)
    took.clear()
    began, used_s = time.perf_counter(), cpu_s(pid)
    await asyncio.sleep(seconds)
    passed, used_s, answers = time.perf_counter() - began, cpu_s(pid) - used_s, list(took)
    for each in connections:
        each.stop = True
    await asyncio.gather(*(each.ended for each in connections))
    return len(answers) / passed, statistics.quantiles(answers, n=100)[98] * 1e3, used_s / len(answers) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}; {CONNECTIONS} connections, median of {options.rounds} rounds in turn")
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        answer = Path(directory, "answer.json")
        hook = stack.enter_context(server(["hooks"], {"ADAPTER_IMAGE": "adapter:1"}))
        first = json.loads(post(hook[1], f"/sync{QUERY}", body_of(0)))
        answer.write_bytes(post(hook[1], f"/sync{QUERY}", body_of(16_000, first)))
        targets: dict[str, Target] = {"hook": (*hook, f"/sync{QUERY}")}
        for name, app in (("bare FastAPI", "app"), ("raw ASGI", "raw")):
            words = ["uvicorn", f"tests.bench.hook_baseline:{app}"]
            targets[name] = (*stack.enter_context(server(words, {"BENCH_ANSWER": str(answer)})), f"/sync{QUERY}")
        if previous := os.environ.get("AGAINST"):
            running = stack.enter_context(server(["hooks"], {"ADAPTER_IMAGE": "adapter:1"}, Path(previous)))
            targets["previous"] = (*running, f"/sync{QUERY}")
        for size in SIZES:
            body = body_of(size, first if size > SIZES[0] else None)
            compare(targets, body, options.rounds, options.seconds)


def compare(targets: dict[str, Target], body: bytes, rounds: int, seconds: float) -> None:
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, target in targets.items():
            figures[name].append(asyncio.run(load(target, body, seconds)))
    for name, values in figures.items():
        per_s, p99, cpu = (statistics.median(column) for column in zip(*values, strict=True))
        ratio = statistics.median(ours[0] / bare[0] for ours, bare in zip(values, figures["bare FastAPI"], strict=True))
        print(
            f"{len(body):6} bytes  {name:13} {per_s:6.0f} requests/s  p99 {p99:6.1f} ms  CPU {cpu:5.0f} µs  "
            f"rate / bare FastAPI {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
