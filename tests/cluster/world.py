"""A local control plane with the CRD, the roles, the hook and Metacontroller, and one namespace per test."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sources_cli import manifests
from sources_cli.generate.rbac import rbac
from sources_cli.kind import Kind, kind_named
from sources_cli.manifests import ManifestsOptions
from sources_cli.schema.crd import crd
from tests.cluster import metacontroller
from tests.cluster.api import Api, ApiError, Object, eventually
from tests.cluster.gate import Gate
from tests.cluster.metacontroller import Metacontroller
from tests.cluster.plane import ControlPlane
from tests.cluster.recordings import save
from tests.process.harness import Process, Start, free_port, listens, processes, wait_until

ROOT = Path(__file__).resolve().parents[2]
KIND = kind_named("SampleSource", "adapter.sources")
SOURCES = (KIND.cls.api_version, KIND.plural)
DEPLOYMENTS = ("apps/v1", "deployments")
CONTROLLERS = ("metacontroller.k8s.io/v1alpha1", "compositecontrollers")
IMAGE = "registry.local/adapter:1"


def documents(file: Path) -> list[Object]:
    return [it for it in yaml.safe_load_all(file.read_text()) if it]


def controller(kind: Kind, gate: Gate, options: ManifestsOptions) -> Object:
    return asking(gate, manifests.controller(kind, options))


def asking(gate: Gate, document: Object) -> Object:
    """A generated CompositeController that calls the proxy: no pod runs here, so a Service cannot be called."""
    for hook in document["spec"]["hooks"].values():
        webhook = hook["webhook"]
        del webhook["service"]
        webhook["url"] = gate.url + webhook.pop("path")
    return document


@dataclass
class World:
    plane: ControlPlane
    gate: Gate
    metacontroller: Metacontroller
    start: Start
    config: Path  # the directory from which the hook reads its ConfigMaps
    hooks: list[Process] = field(default_factory=list)

    @property
    def api(self) -> Api:
        return self.plane.api

    def start_hook(self, **environ: str) -> int:
        """Start another replica of the hook; return its port."""
        port = free_port()
        own = {"ADAPTER_IMAGE": IMAGE, "HOST": "127.0.0.1", "PORT": str(port), "CLUSTER_DOMAIN": "cluster.local"}
        process = self.start("hooks", CONFIG_DIR=str(self.config), **own, **environ)
        self.hooks.append(process)
        wait_until(lambda: listens(port), f"the hook on port {port}", lambda: process.errors)
        return port

    def install(self, *sink_kinds: str, kind: Kind = KIND, resync_s: int | None = None, **options: Any) -> None:
        """Apply the kind's roles and its CompositeController, as `sources manifests` writes them.

        ``resync_s`` replaces the resync period, in seconds, to keep tests short.
        """
        chosen = ManifestsOptions("", sink_kinds=sink_kinds or ("v1/Service",), **options)
        for document in rbac(kind, chosen.sink_kinds, chosen.metacontroller, diagnose_pods=chosen.diagnose_pods):
            self.api.apply(document)
        document = controller(kind, self.gate, chosen)
        if resync_s:
            document["spec"]["resyncPeriodSeconds"] = resync_s
        self.api.apply(document)


@contextmanager
def running_world(plane: ControlPlane, directory: Path) -> Iterator[World]:
    """Metacontroller has only the generated roles."""
    api = plane.api
    for document in [*documents(metacontroller.crds()), crd(KIND)]:
        api.serve(document)
    _forgive(api.create, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": metacontroller.NAMESPACE}})
    account = {"name": metacontroller.ACCOUNT, "namespace": metacontroller.NAMESPACE}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    for document in documents(ROOT / "metacontroller/base/metacontroller-rbac.yaml"):
        api.apply(document)
    with processes() as start:
        gate = Gate([])
        running = Metacontroller(plane, directory)
        (directory / "config").mkdir()
        world = World(plane, gate, running, start, directory / "config")
        try:
            gate.backends.append(world.start_hook())
            world.install()
            running.start()
            yield world
        finally:
            running.stop()
            gate.close()


class Home:
    """One namespace. A failed wait prints conditions, events and the last exchange with the hook.

    Methods create and read sources of one kind: ``SampleSource``, or the one given to :meth:`of`.
    """

    kind = KIND

    def __init__(self, world: World, namespace: str, labels: dict[str, str] | None = None) -> None:
        self.world = world
        self.api = world.api
        self.namespace = namespace
        self._undo: list[Callable[[], object]] = []

        def former() -> object:
            return self.api.find("v1", "namespaces", namespace)

        eventually(former, lambda it: it is None, f"the previous namespace {namespace} is deleted", deadline_s=60)
        metadata = {"name": namespace, "labels": labels or {}}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

        def account() -> object:
            return self.api.find("v1", "serviceaccounts", "default", namespace)

        eventually(account, bool, f"the default ServiceAccount of {namespace} exists")

    def close(self) -> None:
        self.world.gate.heal()
        if not self.world.metacontroller.running:
            self.world.metacontroller.start()
        for undo in reversed(self._undo):
            undo()
        for source in self.api.list(*self.sources, self.namespace):
            self.api.delete(*self.sources, source["metadata"]["name"], self.namespace)
        self.api.delete("v1", "namespaces", self.namespace)

    def of(self, kind: Kind) -> Home:
        """The same namespace, for sources of this kind."""
        seen = copy.copy(self)
        seen.kind = kind
        return seen

    @property
    def sources(self) -> tuple[str, str]:
        return self.kind.cls.api_version, self.kind.plural

    def afterwards(self, undo: Callable[[], object]) -> None:
        """Call ``undo`` at the end of the test, also when the test fails."""
        self._undo.append(undo)

    def service(self, name: str = "display", port: int = 80) -> Object:
        return self.api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"selector": {"app": name}, "ports": [{"port": port, "name": "http"}]},
            }
        )

    def source(self, name: str = "hello", /, *, annotations: Any = None, **spec: Any) -> Object:
        """``spec.sink`` defaults to the Service ``display``."""
        sink = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}}
        interval = {"interval": "10s"} if "interval" in self.kind.cls.model_fields else {}
        return self.api.create(
            {
                "apiVersion": self.kind.cls.api_version,
                "kind": self.kind.name,
                "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations or {}},
                "spec": {**interval, "sink": sink, **spec},
            }
        )

    def edit(self, name: str = "hello", /, **spec: Any) -> Object:
        return self.api.patch(*self.sources, name, {"spec": spec}, self.namespace)

    def read(self, name: str = "hello") -> Object:
        return self.api.get(*self.sources, name, self.namespace)

    def condition(self, type: str, name: str = "hello") -> Object:
        """Empty if the condition is missing or describes an older generation."""
        source = self.read(name)
        status = source.get("status", {})
        if status.get("observedGeneration") != source["metadata"]["generation"]:
            return {}
        return next((it for it in status.get("conditions", []) if it["type"] == type), {})

    def wait_for(
        self, type: str, status: str, reason: str | None = None, name: str = "hello", **options: Any
    ) -> Object:
        """Wait for this status (and reason); return the condition."""

        def wanted(condition: Object) -> bool:
            return condition.get("status") == status and reason in (None, condition.get("reason"))

        what = f"{type}={status} {reason or ''}"
        return dict(
            eventually(lambda: self.condition(type, name), wanted, what, more=lambda: self.story(name), **options)
        )

    def ready(self, name: str = "hello", **options: Any) -> Object:
        self.wait_for("Ready", "True", name=name, **options)
        return self.read(name)

    def deployments(self) -> list[Object]:
        return self.api.list(*DEPLOYMENTS, self.namespace)

    def deployment(self) -> Object:
        """Wait until there is exactly one; return it."""
        [found] = eventually(self.deployments, lambda it: len(it) == 1, "one Deployment", more=self.story)
        return dict(found)

    def pods(self) -> list[Object]:
        return self.api.list("v1", "pods", self.namespace)

    def revision(self) -> int:
        """The number of pod templates that the Deployment has had."""
        return int(self.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    def record(self, situation: str, name: str = "hello", which: int = -1) -> None:
        """If RECORD is set: save one exchange about the source, by default the last. tests/contract replays it."""
        if os.environ.get("RECORD"):
            save(situation, self.world.gate.calls(self.namespace, name)[which])

    def events(self, reason: str = "") -> list[str]:
        """``reason: message`` of each event in the namespace."""
        found = self.api.list("v1", "events", self.namespace)
        return [f"{it['reason']}: {it.get('message', '')}" for it in found if reason in ("", it["reason"])]

    def story(self, name: str = "hello") -> str:
        """Details to print when a wait fails."""
        source = self.api.find(*self.sources, name, self.namespace) or {}
        status = json.dumps(source.get("status"), indent=1)
        deployments = [f"{it['metadata']['name']}: {json.dumps(it.get('status'))}" for it in self.deployments()]
        return "\n".join(
            [
                f"status of {name}: {status}",
                *deployments,
                *self.events(),
                self.world.gate.last(self.namespace),
                self.world.metacontroller.last_words(),
            ]
        )


def env_of(deployment: Object) -> dict[str, str]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {it["name"]: it.get("value", "") for it in container["env"]}


def hook_query(document: Object) -> str:
    return urlsplit(document["spec"]["hooks"]["sync"]["webhook"]["url"]).query


def _forgive(act: Callable[[Object], object], document: Object) -> None:
    """Create an object that may exist already."""
    try:
        act(document)
    except ApiError as error:
        if error.status != 409:
            raise
