"""``spec.adapter`` and defaults of the cluster on a real node: taints, a private registry, a ResourceQuota."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.api import Object
from tests.e2e.cluster import Cluster
from tests.e2e.installation import SAMPLE, Install
from tests.e2e.namespace import RestrictedNamespace

SINK = {"uri": "http://sink.example.com"}
LABEL = "e2e.example.com/pool"
TOLERATION = {"key": LABEL, "operator": "Equal", "value": "events", "effect": "NoSchedule"}
LIMITS = {"resources": {"limits": {"cpu": "200m", "memory": "128Mi"}}}
PULL_SECRET = {"adapter": {"imagePullSecrets": [{"name": "registry"}]}}


@pytest.fixture
def tainted_node(cluster: Cluster) -> Iterator[str]:
    """The only node, with a taint and a label. Pods that run already stay."""
    nodes = [node["metadata"]["name"] for node in cluster.api.list("v1", "nodes")]
    if len(nodes) != 1:
        pytest.skip(f"needs a cluster with one node, which it taints; this one has {len(nodes)}")
    [node] = nodes
    try:
        cluster.kubectl("taint", "node", node, f"{LABEL}=events:NoSchedule")
        cluster.kubectl("label", "node", node, f"{LABEL}=events")
        yield node
    finally:
        cluster.kubectl("taint", "node", node, f"{LABEL}-")
        cluster.kubectl("label", "node", node, f"{LABEL}-")


def test_source_with_toleration_and_node_selector_runs_on_a_tainted_node(
    ns: RestrictedNamespace, install: Install, tainted_node: str
) -> None:
    install(SAMPLE)
    ns.source("without", sink=SINK)
    ns.source(sink=SINK, adapter={"tolerations": [TOLERATION], "nodeSelector": {LABEL: "events"}})
    ns.wait_until_ready()
    message = ns.wait_for_fault("Unschedulable", "without")
    assert "untolerated taint" in message
    assert "spec.adapter.tolerations" in message
    running = [pod for pod in ns.adapters() if pod["spec"].get("nodeName") == tainted_node]
    assert [pod["spec"]["nodeSelector"] for pod in running] == [{LABEL: "events"}]


def test_image_of_a_private_registry_runs_with_its_pull_secret(ns: RestrictedNamespace, install: Install) -> None:
    image, config = os.environ.get("PRIVATE_IMAGE"), os.environ.get("PRIVATE_IMAGE_CONFIG")
    if not image or not config:
        pytest.skip("needs $PRIVATE_IMAGE in a registry with a password, and $PRIVATE_IMAGE_CONFIG with the password")
    install(SAMPLE, "--image", image)
    ns.source("without", sink=SINK)
    message = ns.wait_for_fault("ImagePullBackOff", "without")
    assert "spec.adapter.imagePullSecrets" in message
    text = Path(config).read_text()
    metadata = {"name": "registry", "namespace": ns.name}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/dockerconfigjson"}
    ns.api.create({**secret, "stringData": {".dockerconfigjson": text}})
    ns.edit("without", **PULL_SECRET)
    ns.wait_until_ready("without")
    assert not any(each["auth"] in json.dumps(ns.read("without")) for each in json.loads(text)["auths"].values())


def test_quota_on_limits_is_reported_until_source_or_cluster_sets_them(
    ns: RestrictedNamespace, install: Install, tmp_path: Path
) -> None:
    quota: Object = {"hard": {"limits.cpu": "1", "limits.memory": "1Gi"}}
    metadata = {"name": "limits", "namespace": ns.name}
    ns.api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota})
    install(SAMPLE)
    ns.source("without", sink=SINK)
    ns.source(sink=SINK, adapter=LIMITS)
    ns.wait_until_ready()
    message = ns.wait_for_condition("Ready", "False", "FailedCreate", "without")["message"]
    assert "must specify limits.cpu" in message
    assert "spec.adapter.resources" in message
    defaults = tmp_path / "defaults.json"
    defaults.write_text(json.dumps(LIMITS))
    install(SAMPLE, "--adapter-defaults", str(defaults))
    ns.wait_until_ready("without")
    containers = [pod["spec"]["containers"][0]["resources"]["limits"] for pod in ns.adapters()]
    assert containers == [LIMITS["resources"]["limits"]] * 2
