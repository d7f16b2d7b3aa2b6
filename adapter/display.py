"""``python -m adapter.display``: a sink that checks every CloudEvent and prints it; it can be told to fail.

It listens on --port, else PORT, else 8080 (0 picks a port), says so on stderr, and answers ``GET /healthz``.
A request that is no CloudEvent is answered 400 with the reason. Exit codes: 0 after SIGTERM or SIGINT, 2 for a wrong
argument or a port that is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import Any
from urllib.parse import unquote

from adapter.contract import RESERVED_EXTENSIONS, extension_problem, parse_time
from adapter.durations import parse_duration
from adapter.server import Limits, Request, Reset, Response, listen, port_of

REQUIRED = ("specversion", "id", "source", "type")
LIMITS = Limits(request_s=600, body_size=16 * 1024 * 1024)
Json = Any


def parse_event(request: Request) -> dict[str, Json]:
    """Attributes, ``extensions`` and ``data`` of one CloudEvent, binary or structured; ``ValueError`` if it is none."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/cloudevents+json"):
        event = _json(request.body)
        if not isinstance(event, dict):
            raise ValueError("a structured event must be a JSON object")
        return _checked(event)
    if content_type.startswith("application/cloudevents"):
        raise ValueError(f"content type {content_type} is not supported; send application/cloudevents+json")
    headers = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
    event = {name: unquote(value.encode("latin-1").decode("utf-8"), errors="strict") for name, value in headers.items()}
    if content_type:
        event["datacontenttype"] = content_type
    return _checked({**event, "data": _data(content_type, request.body)})


def _checked(event: dict[str, Json]) -> dict[str, Json]:
    missing = [name for name in REQUIRED if not isinstance(event.get(name), str) or not event[name]]
    if missing:
        raise ValueError(f"required attributes are missing: {', '.join(missing)}")
    if event["specversion"] != "1.0":
        raise ValueError(f"specversion is {event['specversion']}; only 1.0 is known")
    if "time" in event:
        parse_time(event["time"])
    extensions = {name: event[name] for name in event if name not in RESERVED_EXTENSIONS}
    for name in extensions:
        if problem := extension_problem(name):
            raise ValueError(problem)
    return {**{name: event[name] for name in event if name not in extensions}, "extensions": extensions}


def _data(content_type: str, body: bytes) -> Json:
    media_type = content_type.partition(";")[0].strip().lower()
    if body and (media_type.endswith("+json") or media_type in ("application/json", "text/json")):
        return _json(body)
    return body.decode("utf-8", "backslashreplace") if body else None


def _json(body: bytes) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the data is not JSON, though its content type says so") from None


class Display:
    """Answers as told: ``statuses`` in turn, then 202 for ever."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._statuses: Iterator[int] = chain(options.statuses, repeat(202))

    async def answer(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return Response(200, b"ok\n") if request.path == "/healthz" else Response(404)
        if request.method != "POST":
            return Response(405, b"only POST\n", {"Allow": "GET, HEAD, POST"})
        try:
            event = parse_event(request)
        except ValueError as error:
            print(f"not a CloudEvent: {error}", file=sys.stderr, flush=True)
            return Response(400, f"{error}\n".encode())
        return await self._take(event, request)

    async def _take(self, event: dict[str, Json], request: Request) -> Response:
        options, status = self._options, next(self._statuses)
        answered = None if options.hang or options.reset else status
        show = as_json if options.format == "jsonl" else as_text
        print(show(event, answered, request.headers), flush=True)
        await asyncio.sleep(options.delay)
        if options.hang:
            await asyncio.Event().wait()
        if options.reset:
            raise Reset
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        if options.retry_after is not None and status >= 300:
            headers["Retry-After"] = options.retry_after
        return Response(status, headers=headers)


def as_text(event: dict[str, Json], answered: int | None, headers: dict[str, str]) -> str:
    name = event["source"].rstrip("/").rpartition("/")[2]
    note = "" if answered == 202 else f"  -> {answered or 'no answer'}"
    data = json.dumps(event.get("data"), ensure_ascii=False)
    return _printable(f"{datetime.now().astimezone():%H:%M:%S}  {name}  {event['type']}  {data}{note}")


def as_json(event: dict[str, Json], answered: int | None, headers: dict[str, str]) -> str:
    """``status``: what the sink answers to this event, null for nothing at all."""
    return json.dumps({**event, "status": answered, "headers": headers})


def _printable(text: str) -> str:
    """An event must not move the cursor of the person's terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _statuses(text: str) -> list[int]:
    statuses = [int(item) for item in text.split(",")]
    if not all(200 <= status <= 999 for status in statuses):
        raise ValueError
    return statuses


def _delay(text: str) -> float:
    return parse_duration(text) / 1e9


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adapter.display", description="A sink that shows what arrives.")
    parser.add_argument("--port", type=int, default=os.environ.get("PORT") or 8080, help="0 picks one")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text")
    parser.add_argument(
        "--statuses", type=_statuses, default=[], metavar="500,500,202", help="answers in turn, then 202"
    )
    parser.add_argument("--delay", type=_delay, default=0.0, metavar="2s", help="before each answer, a Go duration")
    parser.add_argument("--hang", action="store_true", help="never answer")
    parser.add_argument("--reset", action="store_true", help="break the connection off")
    parser.add_argument("--retry-after", metavar="3", help="Retry-After of every answer but 2xx")
    return parser.parse_args(arguments)


async def _serve(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        server = await listen(Display(options).answer, options.port, LIMITS)
    except (OSError, OverflowError) as error:
        print(f"port {options.port} cannot be listened on: {getattr(error, 'strerror', error)}", file=sys.stderr)
        return 2
    print(f"listening on port {port_of(server)}", file=sys.stderr, flush=True)
    await stop.wait()
    server.close()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return asyncio.run(_serve(_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
