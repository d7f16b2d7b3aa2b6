"""An existing Kubernetes cluster of any kind, accessed with kubectl and `kubectl proxy`."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.api import Api, Object
from tests.deadline import DEADLINE_S

CLUSTER_WIDE = {
    "namespaces": "v1",
    "customresourcedefinitions": "apiextensions.k8s.io/v1",
    "clusterroles": "rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "rbac.authorization.k8s.io/v1",
}
HOOK = ("sample-source", "app.kubernetes.io/name=sources-hook")
METACONTROLLER = ("metacontroller", "app=metacontroller")


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

    def cluster_scoped_objects(self) -> set[str]:
        """All cluster-scoped objects that an uninstallation could leave behind."""
        found = {resource: self.api.list(version, resource) for resource, version in CLUSTER_WIDE.items()}
        return {
            f"{resource}/{document['metadata']['name']}" for resource, listed in found.items() for document in listed
        }

    def log_tail(self) -> str:
        """The last log lines of the hook and of Metacontroller, to print when a wait fails."""
        logs = "kubectl logs --tail=6 --prefix -n {} -l {} 2>&1 || true"
        tails = [self.run(logs.format(*pods)) for pods in (HOOK, METACONTROLLER)]
        return "\n".join(line[:400] for tail in tails for line in tail.splitlines())

    def write_image(self) -> None:
        """Write the image's name into the settings, as docs/install.md tells users to do."""
        settings = self.directory / "metacontroller/settings/settings.yaml"
        settings.write_text(re.sub(r"image: \S+", f"image: {self.image}", settings.read_text()))


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
    """The environment for kubectl, with a separate cache: the default one may hold kinds of an earlier cluster."""
    files = os.environ["KUBECONFIG"].split(os.pathsep)
    own = {"KUBECONFIG": os.pathsep.join(map(os.path.abspath, files)), "KUBECACHEDIR": str(directory / "kube-cache")}
    return {**os.environ, **own}


def _run_checked(command: list[str], directory: Path) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env=kubectl_environ(directory),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
