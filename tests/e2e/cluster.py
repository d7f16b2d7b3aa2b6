"""A Kubernetes cluster that is there: reached by kubectl and its proxy, whatever it is and wherever it runs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.api import Api, Object

CLUSTER_WIDE = {
    "namespaces": "v1",
    "customresourcedefinitions": "apiextensions.k8s.io/v1",
    "clusterroles": "rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "rbac.authorization.k8s.io/v1",
}
HOOK = ("sample-source", "app.kubernetes.io/name=sources-hook")
METACONTROLLER = ("metacontroller", "app=metacontroller")


class Cluster:
    """``directory`` holds a copy of ``metacontroller/`` in which ``image`` is the image."""

    def __init__(self, api: Api, directory: Path) -> None:
        self.api = api
        self.directory = directory
        self.image = os.environ["SOURCE_IMAGE"]

    def run(self, command: str) -> str:
        """A line of shell, beside ``metacontroller/``; what it printed."""
        return _checked(["sh", "-c", command], self.directory)

    def kubectl(self, *arguments: str) -> str:
        return _checked(["kubectl", *arguments], self.directory)

    def pods(self, namespace: str, selector: str) -> list[Object]:
        return self.api.list("v1", "pods", namespace, labelSelector=selector)

    def names(self) -> set[str]:
        """Of all that is cluster-wide and could be left behind."""
        found = {it: self.api.list(version, it) for it, version in CLUSTER_WIDE.items()}
        return {f"{resource}/{it['metadata']['name']}" for resource, listed in found.items() for it in listed}

    def last_words(self) -> str:
        """The ends of the logs of hook and Metacontroller, for a failed wait."""
        logs = "kubectl logs --tail=6 --prefix -n {} -l {} 2>&1 || true"
        tails = [self.run(logs.format(*it)) for it in (HOOK, METACONTROLLER)]
        return "\n".join(line[:400] for tail in tails for line in tail.splitlines())

    def write_image(self) -> None:
        """What docs/install.md asks for: the image's name, in the overlay and in the quick start."""
        name, separator, version = re.fullmatch(r"(.*?)(?:([:@])([^/]+))?", self.image).groups()
        overlay = self.directory / "metacontroller/overlays/example/kustomization.yaml"
        text = re.sub(r"newName: \S+", f"newName: {name}", overlay.read_text())
        key = "digest" if separator == "@" else "newTag"
        overlay.write_text(re.sub(r"newTag: \S+", f"{key}: {version or 'latest'}", text))
        quickstart = self.directory / "metacontroller/samples/quickstart.yaml"
        quickstart.write_text(quickstart.read_text().replace("registry.local/sample-source:dev", self.image))


@contextmanager
def proxied() -> Iterator[Api]:
    """The API with whatever credentials the kubeconfig holds; the port is the loopback's and open while tests run."""
    with subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout
            said = proxy.stdout.readline()
            address = re.search(r"127\.0\.0\.1:\d+", said)
            assert address, f"kubectl proxy said {said!r}"
            api = Api(f"http://{address[0]}")
            yield api
            api.close()
        finally:
            proxy.terminate()


def environ_in(directory: Path) -> dict[str, str]:
    """For kubectl: another cluster with this address, minutes ago, may have had other kinds, and it remembers them."""
    files = os.environ["KUBECONFIG"].split(os.pathsep)
    own = {"KUBECONFIG": os.pathsep.join(map(os.path.abspath, files)), "KUBECACHEDIR": str(directory / "kube-cache")}
    return {**os.environ, **own}


def _checked(command: list[str], directory: Path) -> str:
    done = subprocess.run(
        command, cwd=directory, env=environ_in(directory), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
