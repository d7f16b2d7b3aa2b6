"""``sources render``: prints the response of the hook for each source in the files. Starts no adapter."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapter.contract.formats import EPOCH, Json, format_time
from sources_cli.admission import yaml
from sources_cli.admission.adapter_defaults import read_adapter_defaults, read_checkpoint_default
from sources_cli.admission.documents import Documents, Files, key, read_documents
from sources_cli.arguments import LOCAL_IMAGE
from sources_cli.kind import ClusterOptions, kind_named
from sources_cli.local.hook import Hook, HookRejected
from sources_cli.screen import stdout
from sources_cli.screen.plain import find_condition, ready_condition


@dataclass(frozen=True)
class RenderOptions:
    files: Sequence[Path]
    package: str
    output: str = "yaml"  # or json
    image: str = LOCAL_IMAGE
    adapter_defaults: Path | None = None
    copied_labels: tuple[str, ...] = ()
    checkpoint: str | None = None  # a file, or the map itself


async def render(options: RenderOptions) -> int:
    """The exit code: 0, or 1 if a source would not run because of its sink or spec.

    A suspended source is judged by its sink.
    """
    cluster = ClusterOptions(
        read_adapter_defaults(options.adapter_defaults),
        options.copied_labels,
        read_checkpoint_default(options.checkpoint),
    )
    files = Files(options.files, options.package, checkpoint=cluster.checkpoint)
    documents, output = read_documents(files), options.output
    hook = await Hook.start(None, documents.sink_kinds, lambda line: None, image=options.image, cluster=cluster)
    try:
        runs = [await _render(hook, _with_fixed_metadata(source), documents, output) for source in documents.sources]
    finally:
        await hook.stop()
    return 0 if all(runs) else 1


async def _render(hook: Hook, source: Json, documents: Documents, output: str) -> bool:
    related = await hook.customize(source, documents)
    try:
        response = await hook.sync_bytes(source, kind_named(source["kind"], documents.package), {}, related)
    except HookRejected as error:
        stdout.complain(f"{key(source)}: {error}")
        return False
    parsed = json.loads(response)
    if output == "json":
        stdout.show_json(response.decode())
    else:
        stdout.show_text(f"---\n# {source['kind']} {key(source)}\n{yaml.dump([parsed])}")
    judged = ready_condition(parsed["status"])
    if judged.get("reason") == "Suspended":
        judged = find_condition(parsed["status"], "SinkProvided")
    if judged["status"] == "False":
        stdout.complain(f"{key(source)}: {judged['reason']}: {judged['message']}")
    return judged["status"] != "False"


def _with_fixed_metadata(source: Json) -> Json:
    """Sets the same uid and creation time in each call, so that two outputs can be compared."""
    path = f"{source['apiVersion']}/{source['kind']}/{key(source)}"
    fixed = {"uid": str(uuid.uuid5(uuid.NAMESPACE_URL, path)), "creationTimestamp": format_time(EPOCH)}
    return {**source, "metadata": source["metadata"] | fixed}
