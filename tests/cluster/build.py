"""``python -m tests.cluster.build``: build a Kubernetes control plane and Helm from Go modules, each once per go.sum.

Prints the directories with the binaries and kwok's stage files. Needs Go; without Go the cluster tests are skipped.
Helm has a go.mod of its own, because it needs other versions of the libraries of Kubernetes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
HELM = HERE / "helm"
HELM_PACKAGE = "helm.sh/helm/v4/cmd/helm"
VERSION = "v1.36.3"
BINARIES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
}
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
LDFLAGS = " ".join(
    ["-s -w"]
    + [
        f"-X k8s.io/component-base/version.{key}={value}"
        for key, value in {"gitVersion": VERSION, "gitMajor": "1", "gitMinor": "36", "gitTreeState": "clean"}.items()
    ]
)


class Unavailable(Exception):
    """A required program or file is missing; the message is one sentence that names it."""


def directory() -> Path:
    """The directory for the binaries of the current go.mod and go.sum; it may not exist yet."""
    return _directory("control-plane", HERE, LDFLAGS)


def built() -> Path:
    """The directory of a complete build. Raises ``Unavailable`` if there is none."""
    if not (directory() / "complete").exists():
        raise Unavailable("the control plane is not built; run `make control-plane` (needs Go)")
    return directory()


def built_helm() -> Path:
    """The binary of Helm. Raises ``Unavailable`` if there is none."""
    if not (_helm_directory() / "complete").exists():
        raise Unavailable("Helm is not built; run `make control-plane` (needs Go)")
    return _helm_directory() / "helm"


def build() -> Path:
    target = directory()
    if (target / "complete").exists():
        return target
    _require_go()
    target.mkdir(parents=True, exist_ok=True)
    for name, package in BINARIES.items():
        _build(HERE, package, target / name, LDFLAGS)
    stages = Path(_go(HERE, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")) / "kustomize/stage"
    (target / "stages").mkdir(exist_ok=True)
    for stage in STAGES:
        for file in (stages / stage).glob("*-*.yaml"):
            (target / "stages" / file.name).write_bytes(file.read_bytes())
    (target / "complete").touch()
    return target


def build_helm() -> Path:
    target = _helm_directory()
    if not (target / "complete").exists():
        _require_go()
        target.mkdir(parents=True, exist_ok=True)
        _build(HELM, HELM_PACKAGE, target / "helm", "-s -w")
        (target / "complete").touch()
    return target


def _helm_directory() -> Path:
    return _directory("helm", HELM)


def _directory(name: str, module: Path, *more: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lock = b"".join([(module / "go.mod").read_bytes(), (module / "go.sum").read_bytes(), "".join(more).encode()])
    return cache / "sample-source" / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"


def _require_go() -> None:
    if not shutil.which("go"):
        raise Unavailable("Go is not on PATH, so the control plane cannot be built; pytest will skip the cluster tests")


def _build(module: Path, package: str, target: Path, ldflags: str) -> None:
    started = time.monotonic()
    _go(module, "build", "-mod=readonly", "-trimpath", "-ldflags", ldflags, "-o", str(target), package)
    print(f"{target.name} built in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _go(module: Path, *arguments: str) -> str:
    done = subprocess.run(["go", *arguments], cwd=module, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"`go {arguments[0]}` failed; see its output above")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        print(build(), build_helm(), sep="\n")
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        sys.exit(1 if shutil.which("go") else 0)
