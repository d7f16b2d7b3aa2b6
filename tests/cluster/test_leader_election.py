"""Two Metacontrollers with leader election: one replaces the other one when it is lost, and no edit is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import metacontroller
from tests.cluster.api import Object, eventually
from tests.cluster.apply_strategies import USER
from tests.cluster.local_cluster import ROOT, read_yaml
from tests.cluster.metacontroller import Metacontroller
from tests.cluster.namespace import SourceNamespace, env_of

LEASES = ("coordination.k8s.io/v1", "leases")
LEASE = "metacontroller"
ROLE = read_yaml(ROOT / "metacontroller/components/leader-election/added.yaml")
# In a pod, Metacontroller takes the namespace of the pod. Here, it must be told.
FLAGS = ("--leader-election", f"--leader-election-namespace={metacontroller.NAMESPACE}")


@pytest.fixture
def candidates(ns: SourceNamespace, tmp_path: Path) -> Iterator[list[Metacontroller]]:
    """The first one leads. Both run instead of the Metacontroller of the session, with its roles and the one for it."""
    cluster = ns.cluster
    for document in ROLE:
        cluster.api.apply(document)
    cluster.metacontroller.stop()
    running: list[Metacontroller] = []
    try:
        for name in ("first", "second"):
            directory = tmp_path / name
            directory.mkdir()
            running.append(Metacontroller(cluster.plane, directory))
            running[-1].start("dynamic-apply", *FLAGS)
            eventually(lambda: holder(ns), bool, "a leader", details=running[-1].log_tail)
        yield running
    finally:
        for each in running:
            each.stop(signal.SIGKILL)
        cluster.api.delete(*LEASES, LEASE, metacontroller.NAMESPACE)


def lease(ns: SourceNamespace) -> Object:
    return (ns.api.find(*LEASES, LEASE, metacontroller.NAMESPACE) or {"spec": {}})["spec"]


def holder(ns: SourceNamespace) -> str:
    return str(lease(ns).get("holderIdentity", ""))


def end_lease(ns: SourceNamespace) -> None:
    """As if the lease of the dead leader had ended. Metacontroller has no flag for its 15 s."""
    ns.api.patch(*LEASES, LEASE, {"spec": {"holderIdentity": ""}}, metacontroller.NAMESPACE)


def test_second_metacontroller_takes_over_when_the_leader_is_killed_and_no_edit_is_lost(
    ns: SourceNamespace, candidates: list[Metacontroller]
) -> None:
    first, second = candidates
    ns.service()
    ns.source("s0")
    ns.wait_until_ready("s0")
    former = holder(ns)
    stop = threading.Event()
    written: dict[str, str] = {"s0": "10s"}
    writer = threading.Thread(target=create_and_edit, args=(ns, written, stop))
    writer.start()
    try:
        eventually(lambda: len(written), lambda count: count > 3, "sources")
        first.stop(signal.SIGKILL)
        end_lease(ns)
        eventually(lambda: holder(ns), lambda found: found not in ("", former), "a new leader", details=second.log_tail)
    finally:
        stop.set()
        writer.join()
    for name, interval in written.items():
        ns.wait_until_ready(name)
        [deployment] = deployments_of(ns, name)
        assert env_of(deployment)["INTERVAL"] == interval
    assert second.running
    assert uses_of_leases(ns) == granted_uses()


def create_and_edit(ns: SourceNamespace, written: dict[str, str], stop: threading.Event) -> None:
    """One more source in each turn, and a new interval for the one before it."""
    while not stop.is_set():
        number = len(written)
        ns.source(f"s{number}")
        written[f"s{number}"] = "10s"
        ns.edit(f"s{number - 1}", interval=f"{10 + number}s")
        written[f"s{number - 1}"] = f"{10 + number}s"
        stop.wait(0.2)


def deployments_of(ns: SourceNamespace, name: str) -> list[Object]:
    labels = "knative-eventing-source-name"
    return [each for each in ns.deployments() if each["metadata"]["labels"][labels] == name]


def uses_of_leases(ns: SourceNamespace) -> set[tuple[str, str]]:
    """Verb and decision of each request of Metacontroller about Leases."""
    return {
        (entry["verb"], entry["annotations"]["authorization.k8s.io/decision"])
        for entry in ns.audit()
        if entry["user"]["username"] == USER and entry.get("objectRef", {}).get("resource") == "leases"
    }


def granted_uses() -> set[tuple[str, str]]:
    [role] = [document for document in ROLE if document["kind"] == "Role"]
    return {(verb, "allow") for rule in role["rules"] for verb in rule["verbs"]}
