"""Pods under a real kubelet: probes, credentials, memory and start-up. Figures are printed; limits are generous."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import HOOK, METACONTROLLER, Cluster
from tests.e2e.measures import MIB, image_size, start_up_s, working_sets
from tests.e2e.place import Place


def test_ready_pod_answers_on_its_health_port(place: Place) -> None:
    """Without the probe a pod would be ready before Python has started, and the rollout would stop the old pod."""
    place.display()
    place.source()

    def is_ready() -> list[Object]:
        return [pod for pod in place.adapters() for it in pod["status"].get("containerStatuses", []) if it["ready"]]

    [pod] = eventually(is_ready, bool, "the adapter is ready", more=place.story)
    path = f"/api/v1/namespaces/{place.namespace}/pods/{pod['metadata']['name']}:8080/proxy/readiness"
    assert place.kubectl("get", "--raw", path).strip() == "ok"


def test_pods_mount_no_service_account_token(place: Place) -> None:
    place.display()
    place.source()
    place.ready()
    pods = [place.adapter(), *place.cluster.pods(*HOOK), *place.cluster.pods(place.namespace, "app=event-display")]
    assert len(pods) >= 4
    for pod in pods:
        text = json.dumps(pod["spec"])
        assert "serviceAccountToken" not in text, pod["metadata"]["name"]
        assert "/var/run/secrets/kubernetes.io" not in text, pod["metadata"]["name"]


def test_pods_use_less_than_half_of_their_memory_limit(
    cluster: Cluster, place: Place, figure: Callable[[str], None]
) -> None:
    place.display()
    started = time.monotonic()
    place.source(interval="1s")
    place.ready()
    figure(f"a source: Ready {time.monotonic() - started:.1f} s after it was created")
    pod = place.adapter()
    figure(f'its adapter: {start_up_s(place, pod):.2f} s from the container\'s start to "started"')
    size = image_size(cluster)
    figure(f"the image: {size / 1e6:.0f} MB on the node" if size else "the image: its node does not yet say how large")
    memory = working_sets(cluster, [pod, *cluster.pods(*HOOK), *cluster.pods(*METACONTROLLER)])
    for name, (used, limit) in memory.items():
        figure(f"{name}: {used / MIB:.1f} MiB working set, limit {limit or 'none'}")
        assert not limit or used < int(limit.removesuffix("Mi")) * MIB / 2
