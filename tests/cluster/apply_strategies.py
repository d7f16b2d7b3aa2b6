"""Run Metacontroller with one of its apply strategies, and edit sources under it."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import eventually
from tests.cluster.local_cluster import DEPLOYMENTS, LocalCluster
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


def hook_calls(ns: SourceNamespace) -> int:
    return sum(exchange.parent[0] == ns.name for exchange in list(ns.cluster.hook_proxy.exchanges))


def writes(ns: SourceNamespace) -> int:
    """The number of Metacontroller's writes in this namespace."""
    entries = [
        entry
        for entry in ns.cluster.plane.audit()
        if entry["user"]["username"] == USER and entry["verb"] not in READING
    ]
    return sum((entry.get("objectRef") or {}).get("namespace") == ns.name for entry in entries)
