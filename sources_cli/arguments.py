"""Parsers of command line arguments, defaults, and what all commands need. An error says what to write.

Imports only fast modules: shell completion loads this module at each press of Tab.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from adapter.contract.durations import parse_duration
from adapter.contract.formats import is_http_url, is_printable
from hooks.names import DNS_LABEL
from hooks.settings import parse_sink_kinds

DEFAULT_PACKAGE = "adapter.sources"
OWN_PACKAGE = "kinds"
BASE_IMAGE = "registry.local/sample-source:dev"
LOCAL_IMAGE = "sample-source:local"
SINK_KINDS = "v1/Service"
READ_LIMIT: Any = "4s"  # for all reads of the cluster by one command
ONCE_LIMIT_S = 60.0  # how long --once waits without --for
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    files: Sequence[Path]
    package: str
    for_s: float | None = None
    hook_port: int | None = None  # None: a free port
    listen_port: int | None = None  # of the first source that listens; None: 8888 or the next free port
    once: bool = False
    fresh: bool = False
    sink: str | None = None
    logs: bool = False
    open_page: bool = False  # the live page of the first display, in a web browser
    adapter_defaults: Path | None = None
    checkpoint: str | None = None  # a file, or the map itself

    @property
    def limit_s(self) -> float | None:
        return self.for_s or (ONCE_LIMIT_S if self.once else None)


@dataclass(frozen=True)
class ManifestsOptions:
    module: str
    output: Path | None = None
    check: bool = False
    sink_kinds: tuple[str, ...] = (SINK_KINDS,)
    hook: str = "sample-source/sources-hook"  # <namespace>/<Service>
    metacontroller: str = "metacontroller/metacontroller"  # <namespace>/<ServiceAccount>
    image: str | None = None
    diagnose_pods: bool = False
    adapter_defaults: Path | None = None
    copied_labels: tuple[str, ...] = ()
    checkpoint: str | None = None  # a file, or the map itself
    pool: str | None = None  # the name of a SourcePool in the namespace of the hook


def program() -> str:
    """How the user calls this program: kubectl runs its plugin ``kubectl-sources`` for ``kubectl sources``."""
    return "kubectl sources" if Path(sys.argv[0]).stem == "kubectl-sources" else "sources"


def to_end(command: Coroutine[Any, Any, int]) -> int:
    """Run a command; the exit code. From now on, it cleans up after Ctrl-C, before the process ends."""
    import asyncio

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return asyncio.run(command)


def examples(*commands: str) -> str:
    """The end of a help text. Click and rich keep the lines of paragraphs apart."""
    return "\n\n".join(("Examples:", *commands))


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Replaces each directory with its YAML and JSON files, without those of subdirectories, as ``kubectl -f`` does.

    A directory without such a file stays in the list, so that reading it fails with a message.
    """
    found = [file for path in paths for file in sorted(_files_in(path)) or [path]]
    return list(dict.fromkeys(found))


def _files_in(path: Path) -> list[Path]:
    return [file for suffix in _SUFFIXES for file in path.glob(f"*{suffix}") if file.is_file()]


def sink_kinds(text: str) -> tuple[str, ...]:
    try:
        kinds = parse_sink_kinds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not kinds:
        raise typer.BadParameter("the list is empty; write kinds like v1/Service,eventing.knative.dev/v1/Broker")
    return kinds


def label_names(text: str) -> tuple[str, ...]:
    from hooks.pod_settings.merge import read_label_names  # loads pydantic

    try:
        return read_label_names(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def pool_name(text: str) -> str:
    from hooks.pool.spec import read_pool_name  # loads pydantic

    try:
        return read_pool_name(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}" is not the name of a SourcePool: {error}') from None


def namespaced_name(text: str) -> str:
    if not re.fullmatch(rf"{DNS_LABEL}/{DNS_LABEL}", text, re.ASCII):
        raise typer.BadParameter(f'"{text}" is not <namespace>/<name>; write one like {ManifestsOptions.hook}')
    return text


def dotted_package(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise typer.BadParameter(f'"{text}" is not a dotted Python package; write one like kinds')
    return text


def image(text: str) -> str:
    if not text or not is_printable(text):
        raise typer.BadParameter(f'"{text}" is not an image; write one like registry.local/sample-source:dev')
    return text


def seconds(text: str) -> float:
    try:
        seconds = parse_duration(text) / 1e9
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write a duration like 30s") from None
    if seconds <= 0:
        raise typer.BadParameter(f'"{text}" is not positive; write a duration like 30s')
    return seconds


def url(text: str) -> str:
    if not is_http_url(text):
        raise typer.BadParameter(f'"{text}" is not an absolute http(s) URL; write one like http://127.0.0.1:8080')
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise typer.BadParameter(f'"{text}" is not a port; write a number from 1 to 65535')
    return int(text)


def _name_option(name: str, help: str) -> Any:
    return typer.Option(name, parser=namespaced_name, metavar="NAMESPACE/NAME", help=help)


def port_option(name: str, help: str, default: str) -> Any:
    return typer.Option(name, parser=port, metavar="PORT", show_default=default, help=help)


LISTEN_PORT = port_option(
    "--listen-port",
    "Port of the first source that listens. The next ones get the next ports, in the order of the files.",
    "8888, or the next free port",
)
FRESH: Any = typer.Option(
    "--fresh", help="Delete the checkpoints of these sources first, so that they start as if they were new."
)
ONCE: Any = typer.Option(
    "--once",
    help="Stop when every source is ready and its first event has arrived. "
    "Exit code 1 if that takes longer than --for (default: 1m). Starts without checkpoints and keeps none.",
)
OPEN_PAGE: Any = typer.Option("--open", help="Open a web browser with the page that shows the events.")
SINK: Any = typer.Option(parser=url, metavar="URL", help="Send the events of all sources to this URL.")
CHECK: Any = typer.Option("--check", help="Write nothing. Exit code 1 if a file in DIR is out of date.")
HOOK = _name_option("--hook", "Service of the hook.")
METACONTROLLER = _name_option("--metacontroller", "ServiceAccount of Metacontroller, which gets the role.")
DIAGNOSE_PODS: Any = typer.Option(
    "--diagnose-pods",
    help="Explain in the conditions why an adapter's pod does not run. "
    "Metacontroller then watches the pods of all namespaces.",
)
KIND_IMAGE: Any = typer.Option(
    "--image", metavar="IMAGE", show_default="ADAPTER_IMAGE of the hook", help="Image of this kind's adapters."
)
ADAPTER_DEFAULTS: Any = typer.Option(
    "--adapter-defaults",
    metavar="FILE",
    help="YAML file with defaults for spec.adapter of all sources. They replace those of the kind's class.",
)
COPIED_LABELS: Any = typer.Option(
    "--copied-labels",
    parser=label_names,
    metavar="NAMES",
    help="Labels of a source that its Deployment and pods get, too, separated by commas.",
)
CHECKPOINT: Any = typer.Option(
    "--checkpoint",
    metavar="FILE|JSON",
    help="Default for spec.checkpoint of all sources: a YAML file, or JSON like '{\"pod\":{}}'. "
    "It replaces that of the kind.",
)
POOL: Any = typer.Option(
    "--pool",
    parser=pool_name,
    metavar="NAME",
    help="SourcePool that runs the sources of this kind, in the namespace of the hook. Only for kinds that are Timers.",
)
