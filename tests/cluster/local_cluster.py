"""A local control plane with the CRD, the roles, the hook and Metacontroller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sources_cli import manifests
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.kind import Kind, kind_named
from sources_cli.schema.crd import crd
from tests.cluster import metacontroller
from tests.cluster.api import Api, ApiError, Object
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.hook_proxy import HookProxy
from tests.cluster.metacontroller import Metacontroller
from tests.process.harness import Process, Start, free_port, listens, processes, wait_until

ROOT = Path(__file__).resolve().parents[2]
KIND = kind_named("SampleSource", "adapter.sources")
SOURCES = (KIND.api_version, KIND.plural)
DEPLOYMENTS = ("apps/v1", "deployments")
CRDS = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
CONTROLLERS = ("metacontroller.k8s.io/v1alpha1", "compositecontrollers")
IMAGE = "registry.local/adapter:1"


def read_yaml(file: Path) -> list[Object]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def composite_controller(kind: Kind, hook_proxy: HookProxy, options: ManifestsOptions) -> Object:
    return with_hook_url(hook_proxy, manifests.controller(kind, options))


def with_hook_url(hook_proxy: HookProxy, document: Object) -> Object:
    """A generated CompositeController that calls the proxy: no pod runs here, so a Service cannot be called."""
    for hook in document["spec"]["hooks"].values():
        webhook = hook["webhook"]
        del webhook["service"]
        webhook["url"] = hook_proxy.url + webhook.pop("path")
    return document


@dataclass
class LocalCluster:
    plane: ControlPlane
    hook_proxy: HookProxy
    metacontroller: Metacontroller
    start: Start
    config: Path  # the directory from which the hook reads its ConfigMaps
    hooks: list[Process] = field(default_factory=list)

    @property
    def api(self) -> Api:
        return self.plane.api

    def start_hook(self, port: int = 0, **environ: str) -> int:
        """Start another replica of the hook; return its port."""
        port = port or free_port()
        own = {"ADAPTER_IMAGE": IMAGE, "HOST": "127.0.0.1", "PORT": str(port), "HEALTH_PORT": "0"}
        own |= {"CLUSTER_DOMAIN": "cluster.local", "CONFIG_DIR": str(self.config)}
        process = self.start("hooks", **own, **environ)
        self.hooks.append(process)
        wait_until(lambda: listens(port), f"the hook on port {port}", lambda: process.errors)
        return port

    def install(self, *sink_kinds: str, kind: Kind = KIND, resync_s: int | None = None, **options: Any) -> None:
        """Apply the kind's roles and its CompositeController, as `sources manifests` writes them.

        ``resync_s`` replaces the resync period, in seconds, to keep tests short.
        """
        chosen = ManifestsOptions("", sink_kinds=sink_kinds or ("v1/Service",), **options)
        more = {"diagnose_pods": chosen.diagnose_pods, "pool": chosen.pool is not None}
        for document in rbac(kind, chosen.sink_kinds, chosen.metacontroller, **more):
            self.api.apply(document)
        document = composite_controller(kind, self.hook_proxy, chosen)
        if resync_s:
            document["spec"]["resyncPeriodSeconds"] = resync_s
        self.api.apply(document)


def control_plane_with(kinds: Iterable[Kind], binaries: Path, directory: Path) -> AbstractContextManager[ControlPlane]:
    """A control plane that knows Metacontroller's kinds and these from its start."""
    return control_plane(binaries, directory, [*read_yaml(metacontroller.crds()), *map(crd, kinds)])


@contextmanager
def running_cluster(plane: ControlPlane, directory: Path) -> Iterator[LocalCluster]:
    """With a hook, SampleSource, and a running Metacontroller that has only the generated roles."""
    with cluster_with_hook(plane, directory) as cluster:
        cluster.install()
        cluster.metacontroller.start()
        yield cluster


@contextmanager
def cluster_with_hook(plane: ControlPlane, directory: Path) -> Iterator[LocalCluster]:
    """With a hook, and the account and the role of a Metacontroller that does not run yet."""
    api = plane.api
    _create_unless_exists(
        api.create, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": metacontroller.NAMESPACE}}
    )
    account = {"name": metacontroller.ACCOUNT, "namespace": metacontroller.NAMESPACE}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    for document in read_yaml(ROOT / "metacontroller/base/metacontroller-rbac.yaml"):
        api.apply(document)
    with processes() as start:
        hook_proxy = HookProxy([])
        running = Metacontroller(plane, directory)
        (directory / "config").mkdir()
        cluster = LocalCluster(plane, hook_proxy, running, start, directory / "config")
        try:
            hook_proxy.backends.append(cluster.start_hook())
            yield cluster
        finally:
            running.stop()
            hook_proxy.close()


def _create_unless_exists(act: Callable[[Object], object], document: Object) -> None:
    """Create an object that may exist already."""
    try:
        act(document)
    except ApiError as error:
        if error.status != 409:
            raise
