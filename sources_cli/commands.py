"""All commands and their options. A user error prints one line for each problem to stderr, with exit code 2.

Each command imports its implementation when it is called, so that help and shell completion are fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from adapter import __version__
from sources_cli.problem import Problem, missing_extra
from sources_cli.screen import stdout

try:
    import typer
    from typer import Argument, Option

    from sources_cli import arguments, cluster_commands
    from sources_cli.arguments import ManifestsOptions, examples, to_end
except ModuleNotFoundError as error:
    stdout.complain(f"sources: {missing_extra(error)}")
    raise SystemExit(2) from None

app = typer.Typer(
    help="Create, check, run and install event sources.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
Files = Annotated[
    list[Path],
    Argument(
        metavar="FILE",
        help="YAML or JSON files that contain sources, directories of such files, or - for standard input.",
    ),
]
Package = Annotated[
    str,
    Option(
        parser=arguments.dotted_package,
        metavar="PACKAGE",
        envvar="SOURCES_PACKAGE",
        help="Python package that contains the kinds' modules.",
    ),
]


def run(argv: Sequence[str] | None = None) -> int:
    """The exit code. ``argv``: the words after ``sources``; default: those of this process."""
    sys.path.insert(0, os.getcwd())  # as `python -m` does, to find the user's kinds in the working directory
    stdout.print_anything()
    app.rich_markup_mode = "rich" if sys.stdout.isatty() else None  # plain text in a pipe
    words = sys.argv[1:] if argv is None else argv
    try:
        code = int(command().main(words or ["--help"], arguments.program(), standalone_mode=False))
        sys.stdout.flush()  # not at exit, where an error would print a traceback
        return code
    except typer.TyperException as error:
        message, code = error.format_message().replace("Value error, ", "", 1), error.exit_code  # prefix of pydantic
    except Problem as problem:
        message, code = str(problem), 2
    except ModuleNotFoundError as error:  # a package that only this command needs
        message, code = missing_extra(error), 2
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer exits with code 1 for it
            return 0
        raise
    except OSError as error:
        message = stdout.give_up(error)
        code = 2 if message else 0
    for line in message.splitlines():
        stdout.complain(f"{arguments.program()}: {line}")
    return code


def command() -> Any:
    """The click command. Its help hides the Python types of arguments and flags, such as ``FILE <list[Path]>``."""
    group: Any = typer.main.get_command(app)
    for parameter in (parameter for command in group.commands.values() for parameter in command.params):
        if parameter.param_type_name == "argument" or parameter.is_flag:
            parameter.display_type_rich = lambda ctx: None
    return group


def _print_version(requested: bool) -> None:
    if requested:
        stdout.show(f"sources {__version__}")
        raise typer.Exit


@app.callback(epilog=examples("sources new QueueDepthSource", "sources lint deploy/", "sources run --once deploy/"))
def options(
    version: Annotated[
        bool, Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(
    "run",
    epilog=examples(
        "sources run --open quickstart.yaml",
        "sources run --once --for 30s deploy/",
        "kubectl get samplesource -o yaml | sources run --sink http://127.0.0.1:8080 -",
    ),
)
def run_command(
    files: Files,
    package: Package = arguments.DEFAULT_PACKAGE,
    for_s: Annotated[
        float | None,
        Option("--for", parser=arguments.seconds, metavar="DURATION", help="Stop after this time, for example 30s."),
    ] = None,
    hook_port: Annotated[int | None, arguments.port_option("--port", "Port of the hook.", "a free port")] = None,
    listen_port: Annotated[int | None, arguments.LISTEN_PORT] = None,
    once: Annotated[bool, arguments.ONCE] = False,
    fresh: Annotated[bool, arguments.FRESH] = False,
    sink: Annotated[str | None, arguments.SINK] = None,
    logs: Annotated[bool, Option("--logs", help="Print the logs of the hook and the adapters to stderr.")] = False,
    adapter_defaults: Annotated[Path | None, arguments.ADAPTER_DEFAULTS] = None,
    checkpoint: Annotated[str | None, arguments.CHECKPOINT] = None,
    open_page: Annotated[bool, arguments.OPEN_PAGE] = False,
) -> int:
    """Run sources on this machine, without a cluster."""
    from sources_cli.run import run

    options = arguments.RunOptions(
        files=files,
        package=package,
        for_s=for_s,
        once=once,
        fresh=fresh,
        sink=sink,
        logs=logs,
        open_page=open_page,
        adapter_defaults=adapter_defaults,
        checkpoint=checkpoint,
        hook_port=hook_port,
        listen_port=listen_port,
    )
    return to_end(run(options))


@app.command("render", epilog=examples("sources render -o json deploy/"))
def render_command(
    files: Files,
    package: Package = arguments.DEFAULT_PACKAGE,
    output: Annotated[
        Literal["yaml", "json"],
        Option("-o", "--output", help="Output format; json is the hook's response, one line per source."),
    ] = "yaml",
    image: Annotated[str, Option(metavar="IMAGE", help="Image of the adapters.")] = arguments.LOCAL_IMAGE,
    adapter_defaults: Annotated[Path | None, arguments.ADAPTER_DEFAULTS] = None,
    copied_labels: Annotated[Any, arguments.COPIED_LABELS] = None,
    checkpoint: Annotated[str | None, arguments.CHECKPOINT] = None,
) -> int:
    """Print the Deployment and the status that each source would get."""
    from sources_cli.render import RenderOptions, render

    options = RenderOptions(files, package, output, image, adapter_defaults, copied_labels or (), checkpoint)
    return to_end(render(options))


@app.command("lint", epilog=examples("sources lint deploy/ more.yaml", "kustomize build . | sources lint -"))
def lint_command(
    files: Files,
    package: Package = arguments.DEFAULT_PACKAGE,
    output: Annotated[Literal["text", "yaml", "json"], Option("-o", "--output", help="Output format.")] = "text",
    checkpoint: Annotated[str | None, arguments.CHECKPOINT] = None,
) -> int:
    """Check sources as the API server and the kind's class would."""
    from sources_cli.lint import LintOptions, lint

    return to_end(lint(LintOptions(files, output, package, checkpoint)))


@app.command(
    "manifests",
    epilog=examples(
        "sources manifests kinds/my_source.py -o deploy/my_source",
        "sources manifests kinds/my_source.py -o deploy/my_source --check",
    ),
)
def manifests_command(
    module: Annotated[
        str,
        Argument(
            metavar="MODULE", help="Module of the kind, such as adapter.sources.sample_source or kinds/my_source.py."
        ),
    ],
    output: Annotated[
        Path | None,
        Option("-o", "--output", metavar="DIR", show_default="print to stdout", help="Directory to write to."),
    ] = None,
    check: Annotated[bool, arguments.CHECK] = False,
    sink_kinds: Annotated[
        Any,
        Option(parser=arguments.sink_kinds, metavar="KINDS", help="Kinds that sink.ref may name, separated by commas."),
    ] = arguments.SINK_KINDS,
    hook: Annotated[str, arguments.HOOK] = ManifestsOptions.hook,
    metacontroller: Annotated[str, arguments.METACONTROLLER] = ManifestsOptions.metacontroller,
    diagnose_pods: Annotated[bool, arguments.DIAGNOSE_PODS] = False,
    image: Annotated[str | None, arguments.KIND_IMAGE] = None,
    adapter_defaults: Annotated[Path | None, arguments.ADAPTER_DEFAULTS] = None,
    copied_labels: Annotated[Any, arguments.COPIED_LABELS] = None,
    checkpoint: Annotated[str | None, arguments.CHECKPOINT] = None,
    pool: Annotated[str | None, arguments.POOL] = None,
) -> int:
    """Write the manifests that install a kind in a cluster."""
    from sources_cli.manifests import manifests

    options = ManifestsOptions(
        module,
        output,
        check,
        sink_kinds,
        hook,
        metacontroller,
        image=image,
        diagnose_pods=diagnose_pods,
        adapter_defaults=adapter_defaults,
        copied_labels=copied_labels or (),
        checkpoint=checkpoint,
        pool=pool,
    )
    return to_end(manifests(options))


@app.command("new", epilog=examples("sources new --poll WeatherSource"))
def new_command(
    kind: Annotated[
        str,
        Argument(metavar="KIND", help="Class name in CamelCase that ends in Source, such as QueueDepthSource."),
    ],
    timer: Annotated[bool, Option("--timer", help="A kind that sends events at fixed times (default).")] = False,
    poll: Annotated[bool, Option("--poll", help="A kind that polls a server.")] = False,
    listen: Annotated[bool, Option("--listen", help="A kind that receives HTTP requests.")] = False,
    stream: Annotated[bool, Option("--stream", help="A kind that reads from a connection that it keeps open.")] = False,
) -> int:
    """Create a kind in this directory: module, test, sink and README."""
    from sources_cli.new import new

    chosen = {"timer": timer, "poll": poll, "listen": listen, "stream": stream}
    if sum(chosen.values()) > 1:
        raise typer.BadParameter("write only one of --timer, --poll, --listen and --stream")
    return to_end(new(kind, next((name for name, is_chosen in chosen.items() if is_chosen), "timer")))


@app.command("image", epilog=examples("sources image --package kinds > Dockerfile"))
def image_command(
    package: Annotated[
        str, Option(parser=arguments.dotted_package, metavar="PACKAGE", help="Package of the kinds.")
    ] = arguments.OWN_PACKAGE,
    base: Annotated[
        str, Option("--from", parser=arguments.image, metavar="IMAGE", help="Image to build on.")
    ] = arguments.BASE_IMAGE,
) -> int:
    """Print the Dockerfile of an image with your kinds."""
    from sources_cli.new import image

    return to_end(image(package, base))


app.add_typer(cluster_commands.app)
