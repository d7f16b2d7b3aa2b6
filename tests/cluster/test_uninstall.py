"""Uninstalling works in any order: no deletion hangs, and no object is left.

Each order has its own kind, hook address and Metacontroller, so that several run in parallel. Each test has its own
control plane, which knows these kinds from its start: kube-controller-manager looks for new kinds only every 30 s.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapter.sdk import Event, Timer
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.kind import Kind
from tests.cluster.api import NotFoundError, eventually
from tests.cluster.hook_proxy import HookProxy
from tests.cluster.local_cluster import (
    CONTROLLERS,
    CRDS,
    DEPLOYMENTS,
    LocalCluster,
    cluster_with_hook,
    composite_controller,
    control_plane_with,
)
from tests.cluster.metacontroller import Metacontroller
from tests.cluster.namespace import SourceNamespace

PARTS = ("namespace", "crd", "controller", "metacontroller", "hook")
ORDERS = (
    ("namespace", "controller", "crd", "hook", "metacontroller"),  # each part before the parts it depends on
    ("metacontroller", "hook", "controller", "crd", "namespace"),  # the CRD and the namespace last
    ("hook", "namespace", "crd", "controller", "metacontroller"),  # the hook is down during all deletions
    ("crd", "namespace", "hook", "metacontroller", "controller"),  # the CRD first
    ("controller", "crd", "metacontroller", "namespace", "hook"),
    ("metacontroller", "crd", "namespace", "controller", "hook"),
)


@pytest.mark.usefixtures("needs_metacontroller")
def test_six_uninstall_orders_leave_nothing(binaries: Path, tmp_path: Path) -> None:
    uninstall_all(binaries, ORDERS, tmp_path)


@pytest.mark.long
@pytest.mark.usefixtures("needs_metacontroller")
@pytest.mark.parametrize(
    "first", [pytest.param(parts, id="-".join(parts)) for parts in itertools.permutations(PARTS, 2)]
)
def test_every_uninstall_order_leaves_nothing(binaries: Path, tmp_path: Path, first: tuple[str, str]) -> None:
    """All 120 orders: 20 test cases with 6 orders each."""
    rest = [part for part in PARTS if part not in first]
    uninstall_all(binaries, [(*first, *others) for others in itertools.permutations(rest)], tmp_path)


def uninstall_all(binaries: Path, orders: Sequence[Sequence[str]], directory: Path) -> None:
    kinds = [new_kind() for _ in orders]
    with (
        control_plane_with(kinds, binaries, directory / "plane") as plane,
        cluster_with_hook(plane, directory) as cluster,
        ExitStack() as stack,
        ThreadPoolExecutor(len(orders)) as pool,
    ):
        each = [
            installed(cluster, kind, directory / "-".join(order)) for kind, order in zip(kinds, orders, strict=True)
        ]
        installations = list(pool.map(stack.enter_context, each))
        wait_for_watches(cluster, {installation.kind.plural for installation in installations})
        list(pool.map(Installation.wait_for_garbage_collector, installations))
        list(pool.map(Installation.uninstall, installations, orders))


def wait_for_watches(cluster: LocalCluster, plurals: set[str]) -> None:
    """Wait until kube-controller-manager watches the kinds: it deletes no dependents of a kind that it did not find."""
    watched: set[str] = set()
    with (cluster.plane.directory / "audit.log").open() as audit:

        def read() -> set[str]:
            lines = [line for line in audit if "metadata-informers" in line]
            watched.update(plural for plural in plurals if any(f"/{plural}?" in line for line in lines))
            return watched

        eventually(read, lambda value: value == plurals, f"kube-controller-manager watches {plurals}")


@dataclass(frozen=True)
class Installation:
    cluster: LocalCluster
    kind: Kind
    ns: SourceNamespace
    hook_proxy: HookProxy
    metacontroller: Metacontroller

    @property
    def name(self) -> str:
        return f"{self.kind.plural}.{self.kind.group}"

    def wait_for_garbage_collector(self) -> None:
        """Wait until the garbage collector knows the kind: it deletes the Deployment of a deleted source."""
        self.ns.source("short-lived")

        def count() -> object:
            return len(self.ns.deployments())

        eventually(count, lambda count: count == 2, f"two Deployments of {self.kind.plural}")
        self.cluster.api.delete(self.kind.api_version, self.kind.plural, "short-lived", self.ns.name)
        eventually(count, lambda count: count == 1, f"one Deployment of {self.kind.plural}")

    def uninstall(self, order: Sequence[str]) -> None:
        for part in order:
            self.remove(part, f"{part} of {order}")
            if part in ("namespace", "crd"):  # the source is deleted too, and with it all its dependents
                what = f"nothing left after the {part} of {order}"
                eventually(self.remaining, lambda found: not found, what)

    def remove(self, part: str, what: str) -> None:
        """Delete the part and wait until it is gone, as `kubectl delete` does."""
        if part == "metacontroller":
            return self.metacontroller.stop()
        if part == "hook":
            self.hook_proxy.down = True
            return None
        api = self.cluster.api
        resource, name = {
            "namespace": (("v1", "namespaces"), self.ns.name),
            "crd": (CRDS, self.name),
            "controller": (CONTROLLERS, self.name),
        }[part]
        api.delete(*resource, name)
        eventually(lambda: api.find(*resource, name), lambda found: found is None, f"no {what}")

    def remaining(self) -> list[str]:
        """The source and its dependents that still exist."""
        kinds = ((self.kind.api_version, self.kind.plural), DEPLOYMENTS, ("apps/v1", "replicasets"), ("v1", "pods"))
        return [f"{kind} {name}" for kind in kinds for name in self._names(*kind)]

    def _names(self, api_version: str, resource: str) -> list[str]:
        try:
            listed = self.cluster.api.list(api_version, resource, self.ns.name)
        except NotFoundError:
            return []
        return [document["metadata"]["name"] for document in listed]


@contextmanager
def installed(cluster: LocalCluster, kind: Kind, directory: Path) -> Iterator[Installation]:
    """The roles and the controller of a kind, a Metacontroller for it, and one source that is ready."""
    directory.mkdir()
    api, options = cluster.api, ManifestsOptions("")
    hook_proxy = HookProxy(cluster.hook_proxy.backends)
    own = Metacontroller(cluster.plane, directory)
    document = composite_controller(kind, hook_proxy, options)
    document["metadata"]["labels"] = {"order": kind.plural}
    ns = SourceNamespace(cluster, f"t-{kind.plural}").for_kind(kind)
    installation = Installation(cluster, kind, ns, hook_proxy, own)
    roles = rbac(kind, options.sink_kinds, options.metacontroller)
    try:
        for role_or_controller in (*roles, document):
            api.apply(role_or_controller)
        own.start("dynamic-apply", f"--target-label-selector=order={kind.plural}")
        ns.service()
        ns.source()
        eventually(ns.read, is_ready, f"a source of {kind.plural}", details=own.log_tail)
        yield installation
    finally:
        own.stop()
        hook_proxy.close()


def new_kind() -> Kind:
    name = f"U{uuid.uuid4().hex[:8]}Source"
    own = {"api_version": "uninstall.example.com/v1", "event_types": ("com.example.tick",), "short_name": name.lower()}
    texts = {"__doc__": "Is installed and uninstalled.", "__module__": __name__}
    return Kind(type(name, (Timer,), {**own, **texts, "tick": lambda self, n: Event(type="com.example.tick")}), "kinds")


def is_ready(source: Any) -> bool:
    conditions = source.get("status", {}).get("conditions", [])
    return ("Ready", "True") in [(condition["type"], condition["status"]) for condition in conditions]
