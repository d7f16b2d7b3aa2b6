"""Pods under a real kubelet: probes, credentials, memory and start-up. Figures are printed; limits are generous."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import HOOK, METACONTROLLER, Cluster
from tests.e2e.measurements import MIB, image_size, start_up_s, working_sets
from tests.e2e.namespace import RestrictedNamespace


def test_ready_pod_answers_on_its_health_port(ns: RestrictedNamespace) -> None:
    """Without the probe a pod would be ready before Python has started, and the rollout would stop the old pod."""
    ns.start_display()
    ns.source()

    def is_ready() -> list[Object]:
        return [
            pod
            for pod in ns.adapters()
            for container in pod["status"].get("containerStatuses", [])
            if container["ready"]
        ]

    [pod] = eventually(is_ready, bool, "the adapter is ready", details=ns.describe)
    path = f"/api/v1/namespaces/{ns.name}/pods/{pod['metadata']['name']}:8080/proxy/readiness"
    assert ns.kubectl("get", "--raw", path).strip() == "ok"


def test_pods_mount_no_service_account_token(ns: RestrictedNamespace) -> None:
    ns.start_display()
    ns.source()
    ns.wait_until_ready()
    pods = [ns.adapter(), *ns.cluster.pods(*HOOK), *ns.cluster.pods(ns.name, "app=event-display")]
    assert len(pods) >= 4
    for pod in pods:
        text = json.dumps(pod["spec"])
        assert "serviceAccountToken" not in text, pod["metadata"]["name"]
        assert "/var/run/secrets/kubernetes.io" not in text, pod["metadata"]["name"]


def test_pods_use_less_than_half_of_their_memory_limit(
    cluster: Cluster, ns: RestrictedNamespace, figure: Callable[[str], None]
) -> None:
    ns.start_display()
    started = time.monotonic()
    ns.source(interval="1s")
    ns.wait_until_ready()
    figure(f"a source: Ready {time.monotonic() - started:.1f} s after it was created")
    pod = ns.adapter()
    figure(f'its adapter: {start_up_s(ns, pod):.2f} s from the container\'s start to "started"')
    size = image_size(cluster)
    figure(f"the image: {size / 1e6:.0f} MB on the node" if size else "the image: the node reports no size yet")
    memory = working_sets(cluster, [pod, *cluster.pods(*HOOK), *cluster.pods(*METACONTROLLER)])
    for name, (used, limit) in memory.items():
        figure(f"{name}: {used / MIB:.1f} MiB working set, limit {limit or 'none'}")
        assert not limit or used < int(limit.removesuffix("Mi")) * MIB / 2
