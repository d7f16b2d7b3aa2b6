"""An existing Kubernetes cluster of any kind, accessed with kubectl and `kubectl proxy`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metacontroller.generate.values import TUNED_FLAGS
from tests.cluster.api import Api, Object
from tests.deadline import DEADLINE_S

# Kubernetes itself makes and deletes these all the time.
PASSING = ("bindings", "componentstatuses", "events", "events.events.k8s.io", "leases.coordination.k8s.io")
HOOK = ("sample-source", "app.kubernetes.io/name=sources-hook")
METACONTROLLER = ("metacontroller", "app.kubernetes.io/name=metacontroller")


class Cluster:
    """``directory`` holds a copy of ``metacontroller/`` whose manifests use ``image``."""

    def __init__(self, api: Api, directory: Path) -> None:
        self.api = api
        self.directory = directory
        self.image = os.environ["SOURCE_IMAGE"]

    def run(self, command: str) -> str:
        """Run a shell command in ``directory``; return its stdout."""
        return _run_checked(["sh", "-c", command], self.directory)

    def kubectl(self, *arguments: str) -> str:
        return _run_checked(["kubectl", *arguments], self.directory)

    def pods(self, namespace: str, selector: str) -> list[Object]:
        return self.api.list("v1", "pods", namespace, labelSelector=selector)

    def objects(self) -> set[str]:
        """Kind, namespace and name of each object of the cluster, of all kinds that can be listed."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--output=name").split()
        listed = ",".join(kind for kind in kinds if kind not in PASSING)
        row = '{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
        return set(self.kubectl("get", listed, "--all-namespaces", f"--output=jsonpath={row}").split())

    def added_since(self, before: set[str]) -> set[str]:
        """Or the message of an error: after the deletion of a CRD, the API server names its kind for a moment."""
        try:
            return self.objects() - before
        except AssertionError as error:
            return {str(error)}

    def log_tail(self) -> str:
        """The last log lines of the hook and of Metacontroller, to print when a wait fails."""
        logs = "kubectl logs --tail=6 --prefix -n {} -l {} 2>&1 || true"
        tails = [self.run(logs.format(*pods)) for pods in (HOOK, METACONTROLLER)]
        return "\n".join(line[:400] for tail in tails for line in tail.splitlines())

    def write_images(self) -> None:
        """Write the image's name into the settings, as docs/install.md tells users to do.

        Also the image of Metacontroller, with the flags for many sources.
        """
        metacontroller = os.environ["METACONTROLLER_IMAGE"]
        flags = "".join(f"            - {flag}\n" for flag in TUNED_FLAGS)
        for file, pattern, new in (
            ("settings/settings.yaml", r"image: \S+", f"image: {self.image}"),
            ("metacontroller/metacontroller.yaml", r"image: \S+", f"image: {metacontroller}"),
            ("metacontroller/metacontroller.yaml", r" +- --discovery-interval=5s\n", flags),
        ):
            path = self.directory / "metacontroller" / file
            text, count = re.subn(pattern, new, path.read_text())
            assert count == 1, f"{file} has {count} times {pattern}"
            path.write_text(text)


@contextmanager
def kubectl_proxy() -> Iterator[Api]:
    """An API client with the credentials of the kubeconfig, through `kubectl proxy` on a loopback port."""
    with subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout
            first_line = proxy.stdout.readline()
            address = re.search(r"127\.0\.0\.1:\d+", first_line)
            assert address, f"kubectl proxy printed {first_line!r}, which holds no address"
            api = Api(f"http://{address[0]}")
            yield api
            api.close()
        finally:
            proxy.terminate()


def kubectl_environ(directory: Path) -> dict[str, str]:
    """The environment for commands of the pages: helm, ``sources``, and kubectl with a separate cache.

    The default cache may hold kinds of an earlier cluster.
    """
    files = os.environ["KUBECONFIG"].split(os.pathsep)
    own = {"KUBECONFIG": os.pathsep.join(map(os.path.abspath, files)), "KUBECACHEDIR": str(directory / "kube-cache")}
    helm = {f"HELM_{name}_HOME": str(directory / "helm" / name) for name in ("CACHE", "CONFIG", "DATA")}
    programs = map(str, (directory / "bin", Path(sys.executable).parent, os.environ["PATH"]))
    return {**os.environ, **own, **helm, "PATH": os.pathsep.join(programs)}


def _run_checked(command: list[str], directory: Path) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env=kubectl_environ(directory),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,  # helm waits for several Deployments
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
