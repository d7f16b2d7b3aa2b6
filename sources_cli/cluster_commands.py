"""The commands that read a cluster: ``explain``, ``list`` and ``events``. Only they import the client of Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from sources_cli import arguments
from sources_cli.arguments import examples, to_end

app = typer.Typer()
Source = Annotated[
    str,
    Argument(
        metavar="SOURCE",
        help="KIND/NAME, where KIND is the kind, its plural or a short name. NAME alone is enough if only one source "
        "has it.",
    ),
]
Namespace = Annotated[
    str | None,
    Option("-n", "--namespace", metavar="NAMESPACE", show_default="that of the context", help="Namespace."),
]
Context = Annotated[
    str | None,
    Option("--context", metavar="CONTEXT", show_default="the current one", help="Context of the kubeconfig."),
]
Kubeconfig = Annotated[
    Path | None,
    Option(
        "--kubeconfig",
        metavar="FILE",
        show_default="$KUBECONFIG, else ~/.kube/config",
        help="Kubeconfig.",
    ),
]
Timeout = Annotated[
    float,
    Option("--timeout", parser=arguments.seconds, metavar="DURATION", help="Longest time for all reads together."),
]
Output = Annotated[Literal["text", "json"], Option("-o", "--output", help="Output format.")]


@app.command("explain", epilog=examples("sources explain samplesource/hello", "sources explain -o json ssrc/hello"))
def explain_command(
    source: Source,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    timeout_s: Timeout = arguments.READ_LIMIT,
    output: Output = "text",
) -> int:
    """Say what is wrong with a source in the cluster, and what to do.

    It also says since when.
    """
    from sources_cli.cluster.commands import explain
    from sources_cli.cluster.reader import Access

    return to_end(explain(source, Access(kubeconfig, context, namespace, timeout_s), output))


@app.command("list", epilog=examples("sources list", "sources list -n default -o json"))
def list_command(
    namespace: Annotated[
        str | None, Option("-n", "--namespace", metavar="NAMESPACE", show_default="all", help="Namespace.")
    ] = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    timeout_s: Timeout = arguments.READ_LIMIT,
    output: Output = "text",
) -> int:
    """List the sources of all kinds, those with a problem first."""
    from sources_cli.cluster.commands import list_sources
    from sources_cli.cluster.reader import Access

    return to_end(list_sources(Access(kubeconfig, context, namespace, timeout_s), output))


@app.command("events", epilog=examples("sources events samplesource/hello", "sources events --watch hello"))
def events_command(
    source: Source,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    timeout_s: Timeout = arguments.READ_LIMIT,
    output: Output = "text",
    watch: Annotated[bool, Option("-w", "--watch", help="Print new events until Ctrl-C.")] = False,
) -> int:
    """Print the Kubernetes Events of a source in the order of time.

    They are those of the source, its Deployment, its ReplicaSets and its pods.
    """
    from sources_cli.cluster.commands import events
    from sources_cli.cluster.reader import Access

    return to_end(events(source, Access(kubeconfig, context, namespace, timeout_s), output, watch=watch))
