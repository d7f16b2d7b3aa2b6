"""The options of ``python -m adapter.display``. An error shows the value and says what to write."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence

from adapter.contract.durations import parse_duration
from adapter.serving.sockets import ALL_ADDRESSES


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
    parser = argparse.ArgumentParser(
        prog="python -m adapter.display",
        description="A sink that prints its events, and shows them on a web page at /.",
    )
    parser.add_argument("--port", type=int, default=os.environ.get("PORT") or 8080, help="0: a free port")
    parser.add_argument("--host", default=ALL_ADDRESSES, metavar="127.0.0.1", help="an IP address; default: all")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text")
    parser.add_argument("--statuses", type=_statuses, default=[], metavar="500,202", help="first answers; then 202")
    parser.add_argument("--delay", type=_delay, default=0.0, metavar="2s", help="Go duration before each answer")
    parser.add_argument("--flaky", type=_fraction, default=0.0, metavar="0.2", help="fraction of events answered 503")
    parser.add_argument("--hang", action="store_true", help="never answer")
    parser.add_argument("--reset", action="store_true", help="close the connection without an answer")
    parser.add_argument("--retry-after", metavar="3", help="Retry-After header of every answer that is not 2xx")
    return parser.parse_args(arguments)
