"""The hook's server: uvicorn with limited connections. A refusal is a JSON object, and the end does not wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic_core import to_json

from adapter.contract.formats import json_cost
from adapter.serving.limits import Limits
from adapter.serving.sockets import listening_socket
from hooks.app import new_throttle
from hooks.serving.credentials import Credentials
from hooks.serving.metrics import OTHER, HookMetrics
from hooks.serving.refusals import Refusals
from hooks.serving.server import COST_FACTOR, limits, make_server
from hooks.settings import Settings
from tests.unit.hooks.series import counted

SETTINGS = Settings(adapter_image="a:1", max_body_bytes=64 * 1024)
LIMITS = limits(SETTINGS)
POST = b"POST /echo?q=%C3%A9 HTTP/1.1\r\nHost: h\r\nX-Name: caf\xe9\r\n"


def test_connection_of_metacontroller_is_closed_after_5_minutes() -> None:
    """± 20 %. It then finds another replica of the hook."""
    ages = [LIMITS.new_age_s() for _ in range(100)]
    assert 240 <= min(ages) < max(ages) <= 360


def app() -> FastAPI:
    made = FastAPI()

    @made.post("/echo")
    async def echo(request: Request) -> Any:
        return {"body": len(await request.body()), "q": request.query_params["q"], "x": request.headers["x-name"]}

    @made.post("/fail")
    async def fail() -> None:
        raise RuntimeError("hush")

    return made


def run(
    test: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]],
    limits: Limits = LIMITS,
    log_level: str = "info",
    metrics: HookMetrics | None = None,
) -> Any:
    counted_in = metrics or HookMetrics(tuple)

    async def served() -> Any:
        listening = listening_socket("127.0.0.1", 0)
        with new_throttle() as throttle:
            refusals = Refusals(throttle, limits.body_size, counted_in)
            server = make_server(app(), limits, refusals, Credentials(SETTINGS), log_level=log_level)
            running = asyncio.create_task(server.serve(sockets=[listening]))
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            try:
                return await test(reader, writer)
            finally:
                server.should_exit = True
                async with asyncio.timeout(4):  # less than the time for the last responses
                    await running
                writer.close()

    return asyncio.run(served())


def answer_to(octets: bytes, limits: Limits = LIMITS, metrics: HookMetrics | None = None) -> tuple[int, Any]:
    """Status and JSON value of the only response."""

    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(octets)
        return await reader.read()

    head, _, body = run(test, limits, metrics=metrics).partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head.replace(b"content-type", b"Content-Type")
    return int(head.split()[1]), json.loads(body)


def test_application_gets_the_whole_request() -> None:
    octets = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert answer_to(octets) == (200, {"body": 3, "q": "é", "x": "café"})


@pytest.mark.parametrize(
    ("octets", "changes", "status", "error"),
    [
        pytest.param(
            POST + b"Content-Length: 65537\r\n\r\n", {}, 413, "the body is longer than 65536 bytes", id="body"
        ),
        pytest.param(
            POST + b"X: " + b"a" * 65536 + b"\r\n\r\n",
            {},
            431,
            "the request head is longer than 65536 bytes",
            id="head",
        ),
        pytest.param(
            POST + b"Content-Length: 2\r\n\r\na",
            {"body_s": 0.05},
            408,
            "the request took longer than 0.05 s",
            id="slow",
        ),
        pytest.param(
            POST + b"Content-Length: 20000\r\n\r\n" + b"a" * 10000,
            {"total_size": 5000},
            503,
            "too many requests in flight",
            id="budget",
        ),
        pytest.param(b"nonsense\r\n\r\n", {}, 400, "not an HTTP/1.1 request", id="no-http"),
    ],
)
def test_request_beyond_a_limit_gets_a_json_error(
    octets: bytes, changes: dict[str, Any], status: int, error: str
) -> None:
    assert answer_to(octets, replace(LIMITS, **changes)) == (status, {"error": error})


@pytest.mark.parametrize(
    ("octets", "changes", "path", "status", "reason"),
    [
        (POST + b"Connection: close\r\nContent-Length: 0\r\n\r\n", {}, OTHER, 200, None),
        (POST.replace(b"/echo", b"/fail") + b"Connection: close\r\n\r\n", {}, OTHER, 500, None),
        (b"GET /sync HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {}, "/sync", 404, "no_such_path"),
        (POST + b"Content-Length: 65537\r\n\r\n", {}, OTHER, 413, "too_large"),
        (POST + b"Content-Length: 2\r\n\r\na", {"body_s": 0.05}, OTHER, 408, "slow"),
        (POST + b"Content-Length: 20000\r\n\r\n" + b"a" * 10000, {"total_size": 5000}, OTHER, 503, "busy"),
        (b"nonsense\r\n\r\n", {}, OTHER, 400, "malformed"),
    ],
    ids=["ok", "error", "path", "large", "slow", "busy", "no-http"],
)
def test_each_response_on_port_is_counted_once(
    octets: bytes, changes: dict[str, float], path: str, status: int, reason: str | None
) -> None:
    metrics = HookMetrics(tuple)
    assert answer_to(octets, replace(LIMITS, **changes), metrics)[0] == status
    assert counted(metrics, "sources_hook_requests_total") == {f'code="{status}",path="{path}"': 1}
    assert counted(metrics, "sources_hook_refused_total") == ({f'reason="{reason}"': 1} if reason else {})


def test_body_with_too_many_values_is_413() -> None:
    body = b"[" + b"{}," * 20_000 + b"{}]"
    assert len(body) < LIMITS.body_size < COST_FACTOR * LIMITS.body_size < json_cost(body)
    octets = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert answer_to(octets) == (413, {"error": "the body has too many JSON values for its memory"})


def test_error_of_the_application_is_500_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    octets = POST.replace(b"echo", b"fail") + b"Connection: close\r\n\r\n"
    assert answer_to(octets) == (500, {"error": "the request failed; see the log of the hook"})
    assert [record.message for record in caplog.records if record.name == "hooks.server"] == ["request failed"]


@pytest.mark.parametrize("sent", [b"", POST, POST + b"Content-Length: 9\r\n\r\n{"], ids=["silent", "head", "body"])
def test_server_stops_at_once_while_a_request_is_incomplete(sent: bytes) -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = POST + b"\r\n"
        writer.write(done + sent)
        await reader.readuntil(b"}")  # so the server has read what was sent

    run(test)


@pytest.mark.parametrize(("level", "lines"), [("info", []), ("debug", ["/echo"])])
def test_requests_are_logged_at_debug_only(caplog: pytest.LogCaptureFixture, level: str, lines: list[str]) -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(POST + b"\r\n")
        await reader.readuntil(b"}")

    with caplog.at_level(level.upper()):
        run(test, log_level=level)
    logged = [vars(record)["fields"]["path"] for record in caplog.records if record.message == "request"]
    assert logged == lines


RECORDINGS = Path(__file__).parents[2] / "contract/recordings"


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.json")), ids=lambda path: path.stem)
def test_recorded_requests_are_far_below_the_default_limits(path: Path) -> None:
    """A sync has 4 to 30 KB. One pod has 11 KB; ``diagnosePods`` adds at most 64 during a rollout of 32 replicas."""
    body = to_json(json.loads(path.read_text())["request"])
    size = Settings(adapter_image="a:1").max_body_bytes
    assert 100 * len(body) < size
    assert json_cost(body) < COST_FACTOR * len(body)  # so a body of the largest size has not too many values
