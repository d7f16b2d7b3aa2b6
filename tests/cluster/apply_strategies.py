"""Run Metacontroller with one of its apply strategies, and edit sources under it."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import eventually
from tests.cluster.local_cluster import DEPLOYMENTS, LocalCluster
from tests.cluster.namespace import SourceNamespace, env_of

STRATEGIES = ("dynamic-apply", "server-side-apply")
USER = "system:serviceaccount:metacontroller:metacontroller"


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
