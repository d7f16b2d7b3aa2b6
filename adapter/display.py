"""``python -m adapter.display``: a sink that checks and prints every CloudEvent. Options make it fail, for tests.

It listens on --port, else PORT, else 8080 (0: a free port), prints the port to stderr, and answers ``GET /healthz``.
A request that is not a CloudEvent gets 400 with the reason. Exit codes: 0 after SIGTERM or SIGINT, 2 for a wrong
argument or a port that is in use.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import signal
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, repeat
from random import Random

from adapter.cloudevents.decode import parse_event
from adapter.contract.durations import parse_duration
from adapter.contract.formats import INTEGER_DIGITS, Json
from adapter.serving.connection import Reset
from adapter.serving.limits import SINK_LIMITS
from adapter.serving.messages import Request, Response
from adapter.serving.server import listen

NO_ANSWER = "dispatch error: "


class Display:
    """Responds with ``--statuses`` in order, then with 202. The other options delay the response or make it fail."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._chance = Random()
        self._statuses: Iterator[int] = chain(options.statuses, repeat(202))

    async def answer(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return Response(200, b"ok\n") if request.path == "/healthz" else Response(404)
        if request.method != "POST":
            return Response(405, b"only POST\n", {"Allow": "GET, HEAD, POST"})
        try:
            event = parse_event(request)
        except ValueError as error:
            print(printable(f"not a CloudEvent: {error}"), file=sys.stderr, flush=True)
            return Response(400, f"{error}\n".encode("utf-8", "replace"))
        return await self._take(event, request)

    async def _take(self, event: dict[str, Json], request: Request) -> Response:
        options, status = self._options, next(self._statuses)
        if options.flaky and self._chance.random() < options.flaky:
            status = 503
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
    note += dead_letter_note(event)
    return printable(f"{datetime.now().astimezone():%H:%M:%S}  {name}  {event['type']}  {data}{note}")


def dead_letter_note(event: dict[str, Json]) -> str:
    """The sink that did not accept the event, and its answer or the error; empty if the event is not a dead letter."""
    extensions = event.get("extensions", {})
    if "knativeerrordest" not in extensions:
        return ""
    failure = _delivery_error(extensions.get("knativeerrordata", ""))
    answer = f": {failure}" if failure else f" answered {extensions.get('knativeerrorcode')}"
    return f"  dead letter: {extensions['knativeerrordest']}{answer}"


def _delivery_error(data: str) -> str:
    """Why there was no answer; empty if there was one. Knative marks the error in this way, too, beside code 500."""
    try:
        text = b64decode(data + "==").decode("utf-8", "replace")
    except ValueError:
        return ""
    return text.removeprefix(NO_ANSWER) if text.startswith(NO_ANSWER) else ""


def as_json(event: dict[str, Json], answered: int | None, headers: dict[str, str]) -> str:
    """One line of JSON. ``status``: the status code of the response; null if there is no response."""
    return json.dumps({**event, "status": answered, "headers": headers})


def printable(text: str) -> str:
    """Replace control characters, because a terminal would execute those in an event."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _statuses(text: str) -> list[int]:
    if not re.fullmatch(r"[2-9]\d\d(,[2-9]\d\d)*", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a list of status codes; write codes from 200 to 999 like 500,503,202'
        )
    return [int(status) for status in text.split(",")]


def _fraction(text: str) -> float:
    if not re.fullmatch(r"0?\.[0-9]+|0|1", text, re.ASCII):
        raise argparse.ArgumentTypeError(f'"{text}" is not a fraction; write a number from 0 to 1, like 0.2')
    return float(text)


def _delay(text: str) -> float:
    try:
        return parse_duration(text) / 1e9
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write a duration like 250ms or 2s") from None


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adapter.display", description="A sink that prints its events.")
    parser.add_argument("--port", type=int, default=os.environ.get("PORT") or 8080, help="0: a free port")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text")
    parser.add_argument("--statuses", type=_statuses, default=[], metavar="500,202", help="first answers; then 202")
    parser.add_argument("--delay", type=_delay, default=0.0, metavar="2s", help="Go duration before each answer")
    parser.add_argument("--flaky", type=_fraction, default=0.0, metavar="0.2", help="fraction of events answered 503")
    parser.add_argument("--hang", action="store_true", help="never answer")
    parser.add_argument("--reset", action="store_true", help="close the connection without an answer")
    parser.add_argument("--retry-after", metavar="3", help="Retry-After header of every answer that is not 2xx")
    return parser.parse_args(arguments)


async def _serve(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        server = await listen(Display(options).answer, options.port, SINK_LIMITS)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on port {options.port}: {getattr(error, 'strerror', error)}", file=sys.stderr)
        return 2
    print(f"listening on port {server.port}", file=sys.stderr, flush=True)
    await stop.wait()
    await server.close()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    sys.set_int_max_str_digits(INTEGER_DIGITS)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every character of an event
    return asyncio.run(_serve(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())
