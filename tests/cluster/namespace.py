"""One namespace per test: create and read sources in it, wait for conditions, print details when a wait fails."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from sources_cli.kind import Kind
from tests.cluster.api import Object, eventually
from tests.cluster.local_cluster import DEPLOYMENTS, KIND, LocalCluster
from tests.cluster.recordings import save


class SourceNamespace:
    """One namespace. A failed wait prints conditions, events and the last exchange with the hook.

    Methods create and read sources of one kind: ``SampleSource``, or the one given to :meth:`for_kind`.
    """

    kind = KIND

    def __init__(self, cluster: LocalCluster, namespace: str, labels: dict[str, str] | None = None) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.name = namespace
        self._cleanups: list[Callable[[], object]] = []

        def former() -> object:
            return self.api.find("v1", "namespaces", namespace)

        eventually(former, lambda found: found is None, f"the previous namespace {namespace} is deleted")
        metadata = {"name": namespace, "labels": labels or {}}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

        def account() -> object:
            return self.api.find("v1", "serviceaccounts", "default", namespace)

        eventually(account, bool, f"the default ServiceAccount of {namespace} exists")
        self._audit_start = self.audit_position()

    def audit_position(self) -> int:
        return self.cluster.plane.audit_position()

    def close(self) -> None:
        self.cluster.hook_proxy.reset()
        if not self.cluster.metacontroller.running:
            self.cluster.metacontroller.start()
        for undo in reversed(self._cleanups):
            undo()
        for source in self.api.list(*self.sources, self.name):
            self.api.delete(*self.sources, source["metadata"]["name"], self.name)
        self.api.delete("v1", "namespaces", self.name)

    def for_kind(self, kind: Kind) -> SourceNamespace:
        """The same namespace, for sources of this kind."""
        seen = copy.copy(self)
        seen.kind = kind
        return seen

    @property
    def sources(self) -> tuple[str, str]:
        return self.kind.api_version, self.kind.plural

    def add_cleanup(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` at the end of the test, also when the test fails."""
        self._cleanups.append(undo)

    def service(self, name: str = "display", port: int = 80) -> Object:
        return self.api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": self.name},
                "spec": {"selector": {"app": name}, "ports": [{"port": port, "name": "http"}]},
            }
        )

    def source(self, name: str = "hello", /, *, annotations: Any = None, labels: Any = None, **spec: Any) -> Object:
        """``spec.sink`` defaults to the Service ``display``."""
        metadata = {"name": name, "namespace": self.name, "annotations": annotations or {}, "labels": labels or {}}
        sink = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}}
        interval = {"interval": "10s"} if "interval" in self.kind.source_class.model_fields else {}
        return self.api.create(
            {
                "apiVersion": self.kind.api_version,
                "kind": self.kind.name,
                "metadata": metadata,
                "spec": {**interval, "sink": sink, **spec},
            }
        )

    def edit(self, name: str = "hello", /, **spec: Any) -> Object:
        return self.api.patch(*self.sources, name, {"spec": spec}, self.name)

    def read(self, name: str = "hello") -> Object:
        return self.api.get(*self.sources, name, self.name)

    def condition(self, type: str, name: str = "hello") -> Object:
        """Empty if the condition is missing or describes an older generation."""
        source = self.read(name)
        status = source.get("status", {})
        if status.get("observedGeneration") != source["metadata"]["generation"]:
            return {}
        return next((condition for condition in status.get("conditions", []) if condition["type"] == type), {})

    def wait_for_condition(
        self, type: str, status: str, reason: str | None = None, name: str = "hello", **options: Any
    ) -> Object:
        """Wait for this status (and reason); return the condition."""

        def wanted(condition: Object) -> bool:
            return condition.get("status") == status and reason in (None, condition.get("reason"))

        what = f"{type}={status} {reason or ''}"
        return dict(
            eventually(lambda: self.condition(type, name), wanted, what, details=lambda: self.describe(name), **options)
        )

    def wait_until_ready(self, name: str = "hello", **options: Any) -> Object:
        self.wait_for_condition("Ready", "True", name=name, **options)
        return self.read(name)

    def deployments(self) -> list[Object]:
        return self.api.list(*DEPLOYMENTS, self.name)

    def deployment(self) -> Object:
        """Wait until there is exactly one; return it."""
        [found] = eventually(self.deployments, lambda found: len(found) == 1, "one Deployment", details=self.describe)
        return dict(found)

    def pods(self) -> list[Object]:
        return self.api.list("v1", "pods", self.name)

    def revision(self) -> int:
        """The number of pod templates that the Deployment has had."""
        return int(self.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    def record(self, situation: str, name: str = "hello", which: int = -1) -> None:
        """If RECORD is set: save one exchange about the source, by default the last. tests/contract replays it."""
        if os.environ.get("RECORD"):
            save(situation, self.cluster.hook_proxy.calls(self.name, name)[which])

    def audit(self) -> Iterator[Object]:
        """The API server's audit log since this namespace was created, of the whole cluster."""
        return self.cluster.plane.audit(self._audit_start)

    def events(self, reason: str = "") -> list[str]:
        """``reason: message`` of each event in the namespace."""
        found = self.api.list("v1", "events", self.name)
        return [f"{event['reason']}: {event.get('message', '')}" for event in found if reason in ("", event["reason"])]

    def describe(self, name: str = "hello") -> str:
        """Details to print when a wait fails."""
        source = self.api.find(*self.sources, name, self.name) or {}
        status = json.dumps(source.get("status"), indent=1)
        deployments = [
            f"{deployment['metadata']['name']}: {json.dumps(deployment.get('status'))}"
            for deployment in self.deployments()
        ]
        return "\n".join(
            [
                f"status of {name}: {status}",
                *deployments,
                *self.events(),
                self.cluster.hook_proxy.describe_last_exchange(self.name),
                self.cluster.metacontroller.log_tail(),
            ]
        )


def env_of(deployment: Object) -> dict[str, str]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}
