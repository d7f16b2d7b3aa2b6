"""``sources``: arguments in, exit code out. A person's mistake is one line and exit code 2."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from sources_cli import arguments as types
from sources_cli.lint import LintOptions, lint
from sources_cli.local.hook import LOCAL_IMAGE
from sources_cli.manifests import ManifestsOptions, manifests
from sources_cli.new import ImageOptions, NewOptions, image, new
from sources_cli.problem import Problem
from sources_cli.render import RenderOptions, render
from sources_cli.run import Options, run


def main(argv: Sequence[str] | None = None) -> int:
    arguments = vars(_parse(argv))
    command: Callable[[dict[str, Any]], Coroutine[Any, Any, int]] = arguments.pop("command")
    sys.path.insert(0, os.getcwd())  # as `python -m` does, so that a person's own kinds are found
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
    _add_run(commands)
    _add_render(commands)
    _add_lint(commands)
    _add_manifests(commands)
    _add_new(commands)
    _add_image(commands)
    return parser.parse_args(argv)


def _add_run(commands: Any) -> None:
    command = commands.add_parser("run", help="run the sources in YAML files as a cluster would")
    _add_files(command)
    _add_package(command)
    command.add_argument(
        "--for", dest="for_s", type=types.seconds, metavar="DURATION", help="stop by itself after, e.g. 30s"
    )
    command.add_argument(
        "--port", dest="hook_port", type=types.port, default=0, help="port of the hook (default: a free one)"
    )
    command.add_argument(
        "--once", action="store_true", help="stop when every source is ready and its first event arrived; else exit 1"
    )
    command.add_argument("--sink", type=types.url, metavar="URL", help="send every source's events there")
    command.add_argument("--logs", action="store_true", help="show what the processes log, on stderr")
    command.set_defaults(command=lambda arguments: run(Options(**arguments)))


def _add_render(commands: Any) -> None:
    command = commands.add_parser("render", help="print the Deployment and status the sources in YAML files would get")
    _add_files(command)
    _add_package(command)
    command.add_argument(
        "-o", "--output", choices=("yaml", "json"), default="yaml", help="json: the hook's answer, one line a source"
    )
    command.add_argument("--image", default=LOCAL_IMAGE, help=f"the adapters' image (default: {LOCAL_IMAGE})")
    command.set_defaults(command=lambda arguments: render(RenderOptions(**arguments)))


def _add_lint(commands: Any) -> None:
    command = commands.add_parser(
        "lint", help="say what an API server, and the kind's own class, would say of the sources in YAML files"
    )
    _add_files(command)
    _add_package(command)
    command.add_argument("-o", "--output", choices=("text", "yaml", "json"), default="text")
    command.set_defaults(command=lambda arguments: lint(LintOptions(**arguments)))


def _add_manifests(commands: Any) -> None:
    command = commands.add_parser("manifests", help="write the YAML that installs a kind of source")
    command.add_argument(
        "module", metavar="MODULE", help="adapter.sources.sample_source, or a file: kinds/my_source.py"
    )
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="write files there (default: print them)")
    command.add_argument("--check", action="store_true", help="write nothing; exit 1 where DIR is not current")
    default = ManifestsOptions("")
    command.add_argument(
        "--sink-kinds",
        type=types.sink_kinds,
        default=default.sink_kinds,
        metavar="KINDS",
        help=f"what a sink.ref may name, for the hook and for Metacontroller's role (default: {default.sink_kinds[0]})",
    )
    command.add_argument(
        "--hook",
        type=types.place,
        default=default.hook,
        metavar="NAMESPACE/SERVICE",
        help=f"where the hook answers (default: {default.hook})",
    )
    command.add_argument(
        "--metacontroller",
        type=types.place,
        default=default.metacontroller,
        metavar="NAMESPACE/SERVICEACCOUNT",
        help=f"who gets the role (default: {default.metacontroller})",
    )
    command.add_argument(
        "--diagnose-pods",
        action="store_true",
        help="conditions tell why an adapter's pod does not run; Metacontroller watches the pods of all namespaces",
    )
    command.add_argument("--image", help="the adapters' image of this kind (default: the hook's ADAPTER_IMAGE)")
    command.set_defaults(command=lambda arguments: manifests(ManifestsOptions(**arguments)))


def _add_new(commands: Any) -> None:
    command = commands.add_parser("new", help="write a kind of your own to start from: its module, its test, a README")
    command.add_argument("kind", metavar="KIND", help="CamelCase that ends with Source, like QueueDepthSource")
    ways = command.add_mutually_exclusive_group()
    for way, does in (
        ("timer", "acts at fixed times (the default)"),
        ("poll", "asks a server"),
        ("listen", "is called over HTTP"),
    ):
        ways.add_argument(f"--{way}", dest="way", action="store_const", const=way, default="timer", help=f"it {does}")
    command.set_defaults(command=lambda arguments: new(NewOptions(**arguments)))


def _add_image(commands: Any) -> None:
    command = commands.add_parser("image", help="print the Dockerfile of an image with your kinds")
    default = ImageOptions()
    command.add_argument(
        "--package",
        type=types.dotted,
        default=default.package,
        help=f"where the kinds are (default: {default.package})",
    )
    command.add_argument(
        "--from",
        dest="image",
        type=types.image,
        default=default.image,
        metavar="IMAGE",
        help=f"the adapters' image (default: {default.image})",
    )
    command.set_defaults(command=lambda arguments: image(ImageOptions(**arguments)))


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")


def _add_package(command: argparse.ArgumentParser) -> None:
    default = os.environ.get("SOURCES_PACKAGE") or "adapter.sources"
    command.add_argument(
        "--package", default=default, help=f"Python package that holds the kinds' modules (default: {default})"
    )


if __name__ == "__main__":
    sys.exit(main())
