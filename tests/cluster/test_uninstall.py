"""Uninstalling works in any order: no deletion hangs, and no object is left.

Each order has its own kind, hook address and Metacontroller, so that several run in parallel.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapter.sdk import Event, Timer
from sources_cli.generate.rbac import rbac
from sources_cli.kind import Kind
from sources_cli.manifests import ManifestsOptions
from sources_cli.schema.crd import crd
from tests.cluster.api import NotThere, eventually
from tests.cluster.gate import Gate
from tests.cluster.metacontroller import Metacontroller
from tests.cluster.world import CONTROLLERS, DEPLOYMENTS, Home, World, controller

CRDS = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
PARTS = ("namespace", "crd", "controller", "metacontroller", "hook")
AT_MOST_S = 60.0
CHOSEN = (
    ("namespace", "controller", "crd", "hook", "metacontroller"),  # each part before the parts it depends on
    ("metacontroller", "hook", "controller", "crd", "namespace"),  # the reverse order
    ("hook", "namespace", "crd", "controller", "metacontroller"),  # the hook is down during all deletions
    ("crd", "namespace", "hook", "metacontroller", "controller"),  # the CRD first
    ("controller", "crd", "metacontroller", "namespace", "hook"),
    ("metacontroller", "crd", "namespace", "controller", "hook"),
)


def test_six_uninstall_orders_leave_nothing(world: World, alone: None, tmp_path: Path) -> None:
    uninstall_all(world, CHOSEN, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("first", [pytest.param(it, id="-".join(it)) for it in itertools.permutations(PARTS, 2)])
def test_every_uninstall_order_leaves_nothing(
    world: World, alone: None, tmp_path: Path, first: tuple[str, str]
) -> None:
    """All 120 orders: 20 test cases with 6 orders each."""
    rest = [it for it in PARTS if it not in first]
    uninstall_all(world, [(*first, *it) for it in itertools.permutations(rest)], tmp_path)


def uninstall_all(world: World, orders: Sequence[Sequence[str]], directory: Path) -> None:
    with ExitStack() as installed_ones, ThreadPoolExecutor(len(orders)) as pool:
        each = [installed(world, directory / "-".join(order)) for order in orders]
        installations = list(pool.map(installed_ones.enter_context, each))
        wait_for_watches(world, {it.kind.plural for it in installations})
        list(pool.map(Installation.see_one_go, installations))
        list(pool.map(Installation.uninstall, installations, orders))


def wait_for_watches(world: World, plurals: set[str]) -> None:
    """kube-controller-manager looks for new kinds every 30 s. It never deletes dependents of a kind it did not find."""
    watched: set[str] = set()
    with (world.plane.directory / "audit.log").open() as audit:

        def read() -> set[str]:
            lines = [it for it in audit if "metadata-informers" in it]
            watched.update(it for it in plurals if any(f"/{it}?" in line for line in lines))
            return watched

        eventually(read, lambda it: it == plurals, f"kube-controller-manager watches {plurals}", deadline_s=AT_MOST_S)


@dataclass(frozen=True)
class Installation:
    world: World
    kind: Kind
    home: Home
    gate: Gate
    metacontroller: Metacontroller

    @property
    def name(self) -> str:
        return f"{self.kind.plural}.{self.kind.group}"

    def see_one_go(self) -> None:
        """Wait until the garbage collector knows the kind: it deletes the Deployment of a deleted source."""
        self.home.source("short-lived")

        def count() -> object:
            return len(self.home.deployments())

        eventually(count, lambda it: it == 2, f"two Deployments of {self.kind.plural}")
        self.world.api.delete(self.kind.cls.api_version, self.kind.plural, "short-lived", self.home.namespace)
        eventually(count, lambda it: it == 1, f"one Deployment of {self.kind.plural}", deadline_s=AT_MOST_S)

    def uninstall(self, order: Sequence[str]) -> None:
        started = time.monotonic()
        for part in order:
            self.remove(part, f"{part} of {order}")
            if part in ("namespace", "crd"):  # the source is deleted too, and with it all its dependents
                what = f"nothing left after the {part} of {order}"
                eventually(self.left, lambda it: not it, what, deadline_s=AT_MOST_S)
        took_s = time.monotonic() - started
        assert took_s < AT_MOST_S, f"{order} took {took_s:.0f} s"

    def remove(self, part: str, what: str) -> None:
        """Delete the part and wait until it is gone, as `kubectl delete` does."""
        if part == "metacontroller":
            return self.metacontroller.stop()
        if part == "hook":
            self.gate.down = True
            return None
        api = self.world.api
        resource, name = {
            "namespace": (("v1", "namespaces"), self.home.namespace),
            "crd": (CRDS, self.name),
            "controller": (CONTROLLERS, self.name),
        }[part]
        api.delete(*resource, name)
        eventually(lambda: api.find(*resource, name), lambda it: it is None, f"no {what}", deadline_s=AT_MOST_S)

    def left(self) -> list[str]:
        """The source and its dependents that still exist."""
        kinds = ((self.kind.cls.api_version, self.kind.plural), DEPLOYMENTS, ("apps/v1", "replicasets"), ("v1", "pods"))
        return [f"{kind} {it}" for kind in kinds for it in self._names(*kind)]

    def _names(self, api_version: str, resource: str) -> list[str]:
        try:
            listed = self.world.api.list(api_version, resource, self.home.namespace)
        except NotThere:
            return []
        return [it["metadata"]["name"] for it in listed]


@contextmanager
def installed(world: World, directory: Path) -> Iterator[Installation]:
    """A new kind with one source that is ready."""
    directory.mkdir()
    kind = a_kind()
    api, options = world.api, ManifestsOptions("")
    gate = Gate(world.gate.backends)
    own = Metacontroller(world.plane, directory)
    document = controller(kind, gate, options)
    document["metadata"]["labels"] = {"order": kind.plural}
    home = Home(world, f"t-{kind.plural}").of(kind)
    installation = Installation(world, kind, home, gate, own)
    roles = rbac(kind, options.sink_kinds, options.metacontroller)
    try:
        api.serve(crd(kind))
        for it in (*roles, document):
            api.apply(it)
        own.start("dynamic-apply", f"--target-label-selector=order={kind.plural}")
        home.service()
        home.source()
        eventually(home.read, is_ready, f"a source of {kind.plural}", deadline_s=AT_MOST_S, more=own.last_words)
        yield installation
    finally:
        own.stop()
        gate.close()
        for resource, name in ((CONTROLLERS, installation.name), (CRDS, installation.name)):
            api.delete(*resource, name)
        api.delete("v1", "namespaces", home.namespace)
        for role in roles:
            api.delete(role["apiVersion"], f"{role['kind'].lower()}s", role["metadata"]["name"])


def a_kind() -> Kind:
    name = f"U{uuid.uuid4().hex[:8]}Source"
    own = {"api_version": "uninstall.example.com/v1", "event_types": ("com.example.tick",), "short_name": name.lower()}
    texts = {"__doc__": "Is installed and uninstalled.", "__module__": __name__}
    return Kind(type(name, (Timer,), {**own, **texts, "tick": lambda self, n: Event(type="com.example.tick")}), "kinds")


def is_ready(source: Any) -> bool:
    conditions = source.get("status", {}).get("conditions", [])
    return ("Ready", "True") in [(it["type"], it["status"]) for it in conditions]


@pytest.fixture
def alone(world: World) -> Iterator[None]:
    """Stop the Metacontroller of the other tests, which would manage these kinds too."""
    world.metacontroller.stop()
    yield
    world.metacontroller.start()
