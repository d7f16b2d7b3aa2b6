"""Pods as a kubelet runs them: probes, credentials, memory, start-up. Figures are printed; bounds are loose."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import HOOK, METACONTROLLER, Cluster
from tests.e2e.place import Place

MIB = 1024 * 1024
# When process 1 of a pod was started, in seconds since the epoch: Kubernetes itself knows whole seconds only.
STARTED_AT = """
import os, time
ticks = int(open("/proc/1/stat").read().rpartition(")")[2].split()[19])
uptime = float(open("/proc/uptime").read().split()[0])
print(time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK"))
"""


def test_a_pod_that_is_ready_answers(place: Place) -> None:
    """Without its probe a pod is ready while its interpreter still starts, and kubelets send the old one away."""
    place.display()
    place.source()

    def is_ready() -> list[Object]:
        return [pod for pod in place.adapters() for it in pod["status"].get("containerStatuses", []) if it["ready"]]

    [pod] = eventually(is_ready, bool, "a ready adapter", more=place.story)
    path = f"/api/v1/namespaces/{place.namespace}/pods/{pod['metadata']['name']}:8080/proxy/readiness"
    assert place.kubectl("get", "--raw", path).strip() == "ok"


def test_no_pod_of_ours_holds_a_credential_of_the_cluster(place: Place) -> None:
    place.display()
    place.source()
    place.ready()
    pods = [place.adapter(), *place.cluster.pods(*HOOK), *place.cluster.pods(place.namespace, "app=event-display")]
    assert len(pods) >= 4
    for pod in pods:
        text = json.dumps(pod["spec"])
        assert "serviceAccountToken" not in text, pod["metadata"]["name"]
        assert "/var/run/secrets/kubernetes.io" not in text, pod["metadata"]["name"]


def test_a_source_is_ready_soon_and_its_pod_is_small(
    cluster: Cluster, place: Place, figure: Callable[[str], None]
) -> None:
    place.display()
    started = time.monotonic()
    place.source(interval="1s")
    place.ready()
    figure(f"a source: Ready {time.monotonic() - started:.1f} s after it was created")
    pod = place.adapter()
    figure(f'its adapter: {_start_up_s(place, pod):.2f} s from the container\'s start to "started"')
    figure(f"the image: {_image_size(cluster) / 1e6:.0f} MB on the node")
    memory = _working_sets(cluster, [pod, *cluster.pods(*HOOK), *cluster.pods(*METACONTROLLER)])
    for name, (used, limit) in memory.items():
        figure(f"{name}: {used / MIB:.1f} MiB working set, limit {limit or 'none'}")
        assert not limit or used < int(limit.removesuffix("Mi")) * MIB / 2


def _start_up_s(place: Place, pod: Object) -> float:
    name = pod["metadata"]["name"]
    started = float(place.kubectl("exec", name, "--", "python", "-c", STARTED_AT))
    [line] = [it for it in map(json.loads, place.kubectl("logs", name).splitlines()) if it["msg"] == "started"]
    return datetime.fromisoformat(line["ts"]).timestamp() - started


def _image_size(cluster: Cluster) -> int:
    images = [it for node in cluster.api.list("v1", "nodes") for it in node["status"]["images"]]
    return next((it["sizeBytes"] for it in images if any(cluster.image in name for name in it["names"] or ())), 0)


def _working_sets(cluster: Cluster, pods: list[Object]) -> dict[str, tuple[int, str]]:
    """Bytes and limit by container's name, as the kubelets saw them last; of several pods, the largest."""
    by_uid = {it["metadata"]["uid"]: it for it in pods}

    def read() -> dict[str, Any]:
        return {
            it["podRef"]["uid"]: it["containers"][0]["memory"].get("workingSetBytes")
            for node in {pod["spec"]["nodeName"] for pod in pods}
            for it in json.loads(cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))["pods"]
            if it["podRef"]["uid"] in by_uid and it.get("containers")
        }

    seen = eventually(read, lambda it: len(it) == len(pods) and all(it.values()), "memory of each pod", deadline_s=60)
    found: dict[str, tuple[int, str]] = {}
    for uid, used in sorted(seen.items(), key=lambda it: it[1]):
        container = by_uid[uid]["spec"]["containers"][0]
        found[container["name"]] = (used, container["resources"].get("limits", {}).get("memory", ""))
    return found
