"""A namespace of a real cluster that takes ``restricted`` pods only, and what a test does in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hooks.deployments import TEMPLATE_HASH
from tests.cluster.api import Object, eventually
from tests.cluster.world import SOURCES, Home, documents
from tests.e2e.cluster import Cluster
from tests.e2e.installation import QUICKSTART

RESTRICTED = {f"pod-security.kubernetes.io/{it}": "restricted" for it in ("enforce", "warn")}


class Place(Home):
    """``sources``: the resource that is read and waited for."""

    world: Cluster

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        super().__init__(cluster, namespace, RESTRICTED)
        self.cluster = cluster
        self.sources = SOURCES

    def close(self) -> None:
        for undo in reversed(self._undo):
            undo()
        for source in self.api.list(*SOURCES, self.namespace):
            self.api.delete(*SOURCES, source["metadata"]["name"], self.namespace)
        self.api.delete("v1", "namespaces", self.namespace)

    def read(self, name: str = "hello") -> Object:
        return self.api.get(*self.sources, name, self.namespace)

    def display(self) -> None:
        """The quick start's, printing JSON lines; Service and Deployment are called event-display."""
        for document in documents(self.cluster.directory / QUICKSTART)[:2]:
            document["metadata"]["namespace"] = self.namespace
            if document["kind"] == "Deployment":
                [container] = document["spec"]["template"]["spec"]["containers"]
                container["command"] += ["--format", "jsonl"]
            self.api.create(document)
        self.kubectl("rollout", "status", "deployment/event-display", "--timeout=60s")

    def source(self, name: str = "hello", /, **spec: Any) -> Object:
        sink = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "event-display"}}
        return super().source(name, **{"sink": sink, **spec})

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments)

    def events_shown(self) -> list[Object]:
        lines = self.kubectl("logs", "deployment/event-display").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def deployments(self) -> list[Object]:
        """Those of sources."""
        return [it for it in super().deployments() if _is_ours(it)]

    def adapters(self) -> list[Object]:
        """The pods of sources."""
        return [it for it in self.pods() if _is_ours(it)]

    def adapter(self) -> Object:
        """The only one, once it is the only one."""
        [pod] = eventually(self.adapters, lambda it: len(it) == 1, "one adapter", more=self.story)
        return dict(pod)

    def story(self, name: str = "hello") -> str:
        source = self.api.find(*self.sources, name, self.namespace) or {}
        pods = [f"pod {it['metadata']['name']}: {it['status'].get('containerStatuses')}" for it in self.pods()]
        return "\n".join([json.dumps(source.get("status")), *pods, *self.events(), self.cluster.last_words()])


def _is_ours(document: Object) -> bool:
    return TEMPLATE_HASH in document["metadata"].get("annotations", {})


@contextmanager
def place_in(cluster: Cluster) -> Iterator[Place]:
    place = Place(cluster, f"e2e-{uuid.uuid4().hex[:8]}")
    try:
        yield place
    finally:
        place.close()
