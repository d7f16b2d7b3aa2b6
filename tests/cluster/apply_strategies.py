"""Run Metacontroller with one of its apply strategies, and edit sources under it."""

from __future__ import annotations

import time
import uuid
from typing import Any

from tests.cluster.api import eventually
from tests.cluster.local_cluster import DEPLOYMENTS, SOURCES, LocalCluster
from tests.cluster.namespace import SourceNamespace, env_of

STRATEGIES = ("dynamic-apply", "server-side-apply")
USER = "system:serviceaccount:metacontroller:metacontroller"
READING = ("get", "list", "watch")


def apply_with(cluster: LocalCluster, strategy: str) -> None:
    cluster.metacontroller.stop()
    cluster.metacontroller.start(strategy)


def edit_and_check(ns: SourceNamespace, source: str) -> None:
    """Add a field, remove it again, and change the Deployment as another client: the change is reverted."""
    ns.edit(source, ceOverrides={"extensions": {"region": "eu"}})
    ns.wait_until_ready(source)
    assert env_of(deployment_of_source(ns, source))["K_CE_OVERRIDES"] == '{"extensions":{"region":"eu"}}'
    ns.edit(source, ceOverrides=None)
    ns.wait_until_ready(source)
    assert env_of(deployment_of_source(ns, source))["K_CE_OVERRIDES"] == ""
    name = deployment_of_source(ns, source)["metadata"]["name"]
    ns.api.patch(*DEPLOYMENTS, name, {"spec": {"replicas": 3}}, ns.name)
    eventually(
        lambda: deployment_of_source(ns, source)["spec"]["replicas"],
        lambda count: count == 1,
        "one replica",
        details=ns.describe,
    )
    ns.wait_until_ready(source)


def deployment_of_source(ns: SourceNamespace, source: str) -> Any:
    labelled = [
        deployment
        for deployment in ns.deployments()
        if deployment["metadata"]["labels"]["knative-eventing-source-name"] == source
    ]
    [found] = labelled
    return found


def sync(ns: SourceNamespace, name: str = "hello") -> None:
    """Cause a sync by a change that the hook ignores, and wait until Metacontroller has applied the answer.

    It has applied an answer when it calls the hook about the same source again. So this causes two syncs.
    """
    for _ in range(2):
        before = len(ns.cluster.hook_proxy.calls(ns.name, name))
        ns.api.patch(*SOURCES, name, {"metadata": {"labels": {"touched": uuid.uuid4().hex}}}, ns.name)
        eventually(
            lambda: len(ns.cluster.hook_proxy.calls(ns.name, name)),
            lambda count, before=before: count > before,
            "a sync",
            details=ns.describe,
        )


def wait_until_idle(ns: SourceNamespace) -> None:
    """Wait until Metacontroller neither calls the hook nor writes for one second: the syncs of a rollout are over."""
    last = hook_calls(ns), writes(ns)

    def same() -> bool:
        nonlocal last
        time.sleep(1)  # measures a period without calls and writes
        before, last = last, (hook_calls(ns), writes(ns))
        return before == last

    eventually(same, bool, "no change within one second", details=ns.describe)


def hook_calls(ns: SourceNamespace) -> int:
    return sum(exchange.parent[0] == ns.name for exchange in list(ns.cluster.hook_proxy.exchanges))


def writes(ns: SourceNamespace, resource: str = "") -> int:
    """The number of Metacontroller's writes in this namespace: of one resource, or of all."""
    entries = (entry for entry in ns.audit() if entry["user"]["username"] == USER and entry["verb"] not in READING)
    written = [entry.get("objectRef") or {} for entry in entries]
    return sum(each.get("namespace") == ns.name and resource in ("", each.get("resource")) for each in written)
