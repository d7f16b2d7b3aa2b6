"""The programs that install: `helm` with a kubeconfig of its own, `kubectl kustomize`, and their documents."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import Object

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "metacontroller/chart"
NAMESPACE = "sample-source"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the CRDs have 14,000 lines
LABELS_OF_HELM = (
    "helm.sh/chart",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
)
KEEP = "helm.sh/resource-policy"


class Helm:
    """``binary``: see ``tests.cluster.build``. ``directory`` holds its caches."""

    def __init__(self, binary: Path, directory: Path, kubeconfig: Path | None = None) -> None:
        self.binary = binary
        homes = {f"HELM_{name}_HOME": str(directory / name) for name in ("CACHE", "CONFIG", "DATA")}
        config = {"KUBECONFIG": str(kubeconfig or directory / "none")}
        self._environ = {"PATH": os.environ["PATH"], "HOME": str(directory), **homes, **config}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        words = [str(self.binary), *arguments]
        return subprocess.run(
            words, cwd=ROOT, env=self._environ, capture_output=True, text=True, timeout=120, check=False
        )

    def __call__(self, *arguments: str) -> str:
        """The stdout of a command that succeeds."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def template(self, *options: str, chart: Path = CHART) -> str:
        return self("template", "sources", str(chart), "--namespace", NAMESPACE, *options)


def load(text: str) -> list[Object]:
    return [document for document in yaml.load_all(text, Loader=LOADER) if document]


def by_identity(documents: Iterable[Object]) -> dict[tuple[str, str, str], Object]:
    """Kustomize and Helm sort objects differently."""
    found = {}
    for document in documents:
        metadata = document["metadata"]
        key = (document["kind"], metadata.get("namespace", ""), metadata["name"])
        assert key not in found, f"{key} is there twice"
        found[key] = document
    return found


def without_marks_of_helm(document: Object) -> Object:
    """Without the labels of the chart and the annotation that keeps CRDs. Nothing else may differ."""
    metadata = dict(document["metadata"])
    for part, names in (("labels", LABELS_OF_HELM), ("annotations", (KEEP,))):
        kept: dict[str, Any] = {name: value for name, value in metadata.pop(part, {}).items() if name not in names}
        if kept:
            metadata[part] = kept
    return {**document, "metadata": metadata}
