"""``sources render``: what the hook would answer for the sources in some files, to read or to diff. Runs nothing."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.contract.formats import EPOCH, format_time
from sources_cli.admission import yaml
from sources_cli.admission.documents import Documents, key, read_documents
from sources_cli.kind import kind_named
from sources_cli.local.hook import LOCAL_IMAGE, Hook, Refusal
from sources_cli.screen.plain import ready_condition

Json = Any


@dataclass(frozen=True)
class RenderOptions:
    files: Sequence[Path]
    output: str = "yaml"
    image: str = LOCAL_IMAGE
    package: str = "adapter.sources"


async def render(options: RenderOptions) -> int:
    """0; 1 where a source would not run: its sink is not resolved, or its spec cannot be honoured."""
    documents = read_documents(options.files, options.package)
    hook = await Hook.start(0, documents.sink_kinds, lambda line: None, image=options.image)
    try:
        shown = [await _show(hook, _as_new(source), documents, options.output) for source in documents.sources]
    finally:
        await hook.stop()
    return 0 if all(shown) else 1


async def _show(hook: Hook, source: Json, documents: Documents, output: str) -> bool:
    related = await hook.customize(source, documents)
    try:
        answer = await hook.sync_bytes(source, kind_named(source["kind"], documents.package), {}, related)
    except Refusal as refusal:
        print(f"{key(source)}: {refusal}", file=sys.stderr)
        return False
    parsed = json.loads(answer)
    if output == "json":
        print(answer.decode())
    else:
        print(f"---\n# {source['kind']} {key(source)}")
        print(yaml.dump([parsed]), end="")
    ready = ready_condition(parsed["status"])
    if ready["status"] == "False":
        print(f"{key(source)}: {ready['reason']}: {ready['message']}", file=sys.stderr)
    return ready["status"] != "False"


def _as_new(source: Json) -> Json:
    """The same uid and time at each call, so that two renderings can be compared."""
    path = f"{source['apiVersion']}/{source['kind']}/{key(source)}"
    fixed = {"uid": str(uuid.uuid5(uuid.NAMESPACE_URL, path)), "creationTimestamp": format_time(EPOCH)}
    return {**source, "metadata": source["metadata"] | fixed}
