"""A project directory with user-defined kinds, and the cluster in which they are installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from adapter.loading import module_name
from tests.cluster.local_cluster import read_yaml
from tests.deadline import DEADLINE_S
from tests.e2e.cluster import Cluster, kubectl_environ
from tests.e2e.namespace import RestrictedNamespace, restricted_namespace
from tests.installed import environ_with

SINK = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "event-display"}}


class KindProject:
    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory / "empty"
        self.directory.mkdir()
        self._environ = {**kubectl_environ(directory), **environ_with(directory / "site")}

    def run(self, command: str) -> str:
        """Run a shell command in the directory. ``BUILD_IMAGE`` replaces `docker build`. Return stdout."""
        words = command.split()
        if words[:3] == ["docker", "build", "-t"]:
            command = f"{os.environ['BUILD_IMAGE']} {words[4]} {words[3]}"
        shell = ["bash", "-c", command]
        done = subprocess.run(
            shell,
            cwd=self.directory,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def set_namespace_and_image(self, file: str, namespace: str) -> None:
        """Set the namespace and the image name in a manifest."""
        text = (self.directory / file).read_text().replace("registry.local/sample-source:dev", self.cluster.image)
        self.write(file, text.replace("namespace: default", f"namespace: {namespace}"))

    @contextmanager
    def kind(self, kind: str, api_version: str) -> Iterator[RestrictedNamespace]:
        """A namespace for sources of this kind. Afterwards all generated manifests are deleted from the cluster."""
        with restricted_namespace(self.cluster, kind, api_version) as ns:
            try:
                yield ns
            finally:
                self.run("find . -name kustomization.yaml -execdir kubectl delete --ignore-not-found -k . \\;")

    def build(self, dockerfile: str, image: str) -> None:
        self.write("Dockerfile", dockerfile)
        self.run(f"docker build -t {image} .")

    @contextmanager
    def installed(self, kind: str, image: str, **spec: object) -> Iterator[RestrictedNamespace]:
        """Install the kind with its image; yield a namespace with its sample, changed by ``spec`` and ready."""
        name = module_name(kind)
        made = f"manifests/{name}"
        self.run(f"sources manifests kinds/{name}.py -o {made} --image {image}")
        [sample] = read_yaml(self.directory / made / "sample.yaml")
        with self.kind(kind, sample["apiVersion"]) as ns:
            self.run(f"kubectl apply -k {made} && kubectl wait --for=condition=Established -f {made}/crd.yaml")
            ns.start_display()
            sample["metadata"] = {"name": "hello", "namespace": ns.name}
            sample["spec"] |= {"sink": SINK, **spec}
            self.write("sample.yaml", yaml.safe_dump(sample))
            self.run("kubectl apply -f sample.yaml")
            ns.wait_until_ready()
            yield ns
