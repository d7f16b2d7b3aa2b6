"""A namespace of a real cluster that accepts only ``restricted`` pods, and the actions of tests in it."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapter.contract.kind_names import plural
from hooks.children.deployment import TEMPLATE_HASH
from tests.cluster.api import NotFoundError, Object, eventually
from tests.cluster.local_cluster import SOURCES, read_yaml
from tests.cluster.namespace import SourceNamespace
from tests.e2e.cluster import Cluster
from tests.e2e.installation import QUICKSTART

PROGRAMS = Path(__file__).parent / "programs"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}

# Twelve processes of 12 MiB each exceed 128 MiB together. Each is smaller than the adapter, so the kernel kills the
# adapter.
TOO_MUCH = """
import os, time
for _ in range(12):
    if not os.fork():
        held = os.urandom(12 << 20)
        time.sleep(60)
time.sleep(60)
"""


class RestrictedNamespace(SourceNamespace):
    """Sources are of one kind, given by name and API version, because a test may create the kind."""

    cluster: Cluster

    def __init__(self, cluster: Cluster, namespace: str, kind: str, api_version: str) -> None:
        super().__init__(cluster, namespace, RESTRICTED)
        self.kind_and_version = (kind, api_version)

    def for_named_kind(self, kind: str, api_version: str) -> RestrictedNamespace:
        """The same namespace, for sources of this kind."""
        ns = copy.copy(self)
        ns.kind_and_version = (kind, api_version)
        return ns

    @property
    def sources(self) -> tuple[str, str]:
        kind, api_version = self.kind_and_version
        return api_version, plural(kind)

    def audit_position(self) -> int:
        return 0  # tests cannot read the audit log of an existing cluster

    def close(self) -> None:
        for undo in reversed(self._cleanups):
            undo()
        with contextlib.suppress(NotFoundError):  # without the kind there are no sources
            for source in self.api.list(*self.sources, self.name):
                self.api.delete(*self.sources, source["metadata"]["name"], self.name)
        self.api.delete("v1", "namespaces", self.name)

    def start_display(self, *options: str) -> None:
        """Start the event display of the quick start with JSON output: Service and Deployment ``event-display``."""
        for document in read_yaml(self.cluster.directory / QUICKSTART / "quickstart.yaml")[:2]:
            document["metadata"]["namespace"] = self.name
            if document["kind"] == "Deployment":
                [container] = document["spec"]["template"]["spec"]["containers"]
                container["image"] = self.cluster.image
                container["command"] += ["--format", "jsonl", *options]
            self.api.create(document)
        self.kubectl("rollout", "status", "deployment/event-display", "--timeout=120s")

    def source(self, name: str = "hello", /, **spec: Any) -> Object:
        sink = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "event-display"}}
        kind, api_version = self.kind_and_version
        metadata = {"name": name, "namespace": self.name}
        document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {"sink": sink, **spec}}
        return self.api.create(document)

    def start_program(self, name: str, *arguments: str) -> None:
        """Start a pod that runs ``programs/<name>.py``, and a Service of that name on port 8080.

        May be called again after the pod has ended.
        """
        metadata = {"name": name, "namespace": self.name}
        text = (PROGRAMS / f"{name}.py").read_text()
        self.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"program.py": text}})
        ports = [{"name": "http", "port": 8080}]
        spec = {"selector": {"app": name}, "ports": ports}
        self.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        self.api.create(_pod_of(metadata, self.cluster.image, arguments))
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")

    @contextmanager
    def exhausted_memory(self) -> Iterator[None]:
        """Use up the memory of the adapter's pod, so that the kernel kills the adapter."""
        exec = ["kubectl", "-n", self.name, "exec", self.adapter()["metadata"]["name"], "--"]
        with subprocess.Popen([*exec, "python", "-c", TOO_MUCH], stderr=subprocess.DEVNULL) as process:
            yield
            process.kill()

    def wait_for_fault(self, reason: str, name: str = "hello") -> str:
        """Wait for the reason in Deployed and Ready; return their message, which names the pod."""
        message = self.wait_for_condition("Deployed", "False", reason, name)["message"]
        assert self.wait_for_condition("Ready", "False", reason, name)["message"] == message
        assert message.startswith(f"Pod {self.name}/"), message
        return str(message)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments)

    def displayed_events(self) -> list[Object]:
        lines = self.kubectl("logs", "deployment/event-display").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def deployments(self) -> list[Object]:
        """The Deployments of sources."""
        return [deployment for deployment in super().deployments() if _is_ours(deployment)]

    def adapters(self) -> list[Object]:
        """The pods of sources."""
        return [pod for pod in self.pods() if _is_ours(pod)]

    def adapter(self) -> Object:
        """Wait until there is exactly one adapter pod; return it."""
        [pod] = eventually(self.adapters, lambda found: len(found) == 1, "one adapter", details=self.describe)
        return dict(pod)

    def describe(self, name: str = "hello") -> str:
        source = self.api.find(*self.sources, name, self.name) or {}
        pods = [f"pod {pod['metadata']['name']}: {pod['status'].get('containerStatuses')}" for pod in self.pods()]
        return "\n".join([json.dumps(source.get("status")), *pods, *self.events(), self.cluster.log_tail()])


def _is_ours(document: Object) -> bool:
    return TEMPLATE_HASH in document["metadata"].get("annotations", {})


def _pod_of(metadata: Object, image: str, arguments: Sequence[str]) -> Object:
    container = {
        "name": "program",
        "image": image,
        "command": ["python", "/program/program.py", *arguments],
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": metadata["name"]}}],
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        # The programs use full Service names, so the resolver need not try search domains.
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    }
    labels = {"app": metadata["name"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "labels": labels}, "spec": spec}


@contextmanager
def restricted_namespace(
    cluster: Cluster, kind: str = "SampleSource", api_version: str = SOURCES[0]
) -> Iterator[RestrictedNamespace]:
    ns = RestrictedNamespace(cluster, f"e2e-{uuid.uuid4().hex[:8]}", kind, api_version)
    try:
        yield ns
    finally:
        ns.close()
