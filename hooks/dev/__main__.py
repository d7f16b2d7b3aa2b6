"""``sources``: arguments in, exit code out. A person's mistake is one line and exit code 2."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from adapter.durations import parse_duration
from hooks.addresses import is_http_url
from hooks.dev.hook import LOCAL_IMAGE
from hooks.dev.problem import Problem
from hooks.dev.render import RenderOptions, render
from hooks.dev.run import Options, run


def main(argv: Sequence[str] | None = None) -> int:
    arguments = vars(_parse(argv))
    command: Callable[[dict[str, Any]], Coroutine[Any, Any, int]] = arguments.pop("command")
    try:
        return asyncio.run(command(arguments))
    except Problem as problem:
        print(f"sources: {problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `sources run … | head`
        sys.stderr.close()
        return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sources", description="Event sources on this machine, without a cluster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("run", help="run the sources in YAML files as a cluster would")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument(
        "--for", dest="for_s", type=_seconds, metavar="DURATION", help="stop by itself after, e.g. 30s"
    )
    command.add_argument(
        "--port", dest="hook_port", type=_port, default=0, help="port of the hook (default: a free one)"
    )
    command.add_argument(
        "--once", action="store_true", help="stop when every source is ready and its first event arrived; else exit 1"
    )
    command.add_argument("--sink", type=_url, metavar="URL", help="send every source's events there")
    command.add_argument("--logs", action="store_true", help="show what the processes log, on stderr")
    command.set_defaults(command=lambda arguments: run(Options(**arguments)))
    command = commands.add_parser("render", help="print the Deployment and status the sources in YAML files would get")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument(
        "-o", "--output", choices=("yaml", "json"), default="yaml", help="json: the hook's answer, one line a source"
    )
    command.add_argument("--image", default=LOCAL_IMAGE, help=f"the adapters' image (default: {LOCAL_IMAGE})")
    command.set_defaults(command=lambda arguments: render(RenderOptions(**arguments)))
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text) / 1e9
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f'"{text}" is not positive; write a duration like 30s')
    return seconds


def _url(text: str) -> str:
    if not is_http_url(text):
        raise argparse.ArgumentTypeError(
            f'"{text}" is not an absolute http(s) URL; write one like http://127.0.0.1:8080'
        )
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f'"{text}" is not a port; write a number from 1 to 65535')
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
