"""The quick start in the chart: the sink and the source of ``samples/quickstart.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metacontroller.generate.tree import If, Leaf, Tree, Value
from sources_cli.admission import yaml

FILE = Path(__file__).parents[2] / "samples/quickstart.yaml"


def trees() -> list[Tree]:
    """The source only if the API server serves its kind: Helm resolves all kinds before it creates the first object."""
    return [If("quickstart.enabled", _with_values(document.value)) for document in yaml.load(FILE.read_text())]


def _with_values(document: dict[str, Any]) -> Tree:
    document["metadata"]["namespace"] = Value("quickstart.namespace")
    if document["kind"] == "Deployment":
        pod = document["spec"]["template"]["spec"]
        pod["imagePullSecrets"] = If("imagePullSecrets", Value("imagePullSecrets"))
        pod["containers"][0]["image"] = Value("image")
    if document["kind"].endswith("Source"):
        return If(served(document["apiVersion"], document["kind"]), document)
    return document


def served(api_version: str, kind: str) -> Leaf:
    """A condition. Plain documents are for a cluster that serves the kind."""
    return Leaf(f'($.Capabilities.APIVersions.Has "{api_version}/{kind}")', lambda values: True)
