"""Start-up time and memory of pods, measured in the pod and by its kubelet."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import Cluster
from tests.e2e.namespace import RestrictedNamespace

MIB = 1024 * 1024
# Prints the start time of process 1 in seconds since the epoch; the Kubernetes API has only whole seconds.
STARTED_AT = """
import os, time
ticks = int(open("/proc/1/stat").read().rpartition(")")[2].split()[19])
uptime = float(open("/proc/uptime").read().split()[0])
print(time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK"))
"""


def start_up_s(ns: RestrictedNamespace, pod: Object) -> float:
    name = pod["metadata"]["name"]
    started = float(ns.kubectl("exec", name, "--", "python", "-c", STARTED_AT))
    [line] = [entry for entry in map(json.loads, ns.kubectl("logs", name).splitlines()) if entry["msg"] == "started"]
    return datetime.fromisoformat(line["ts"]).timestamp() - started


def image_size(cluster: Cluster) -> int:
    images = [image for node in cluster.api.list("v1", "nodes") for image in node["status"]["images"]]
    return next(
        (image["sizeBytes"] for image in images if any(cluster.image in name for name in image["names"] or ())), 0
    )


def working_sets(cluster: Cluster, pods: list[Object]) -> dict[str, tuple[int, str]]:
    """Working set in bytes and memory limit by container name, from the kubelets; the largest of several pods."""
    by_uid = {pod["metadata"]["uid"]: pod for pod in pods}

    def read() -> dict[str, Any]:
        return {
            stats["podRef"]["uid"]: stats["containers"][0]["memory"].get("workingSetBytes")
            for node in {pod["spec"]["nodeName"] for pod in pods}
            for stats in json.loads(cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))[
                "pods"
            ]
            if stats["podRef"]["uid"] in by_uid and stats.get("containers")
        }

    seen = eventually(read, lambda found: len(found) == len(pods) and all(found.values()), "each pod has a working set")
    found: dict[str, tuple[int, str]] = {}
    for uid, used in sorted(seen.items(), key=lambda entry: entry[1]):
        container = by_uid[uid]["spec"]["containers"][0]
        found[container["name"]] = (used, container["resources"].get("limits", {}).get("memory", ""))
    return found


def describe_cost(ns: RestrictedNamespace) -> str:
    """Start-up time and memory of the only adapter as text. Asserts that it uses less than half of its limit."""
    pod = ns.adapter()
    [(used, limit)] = working_sets(ns.cluster, [pod]).values()
    assert used < int(limit.removesuffix("Mi")) * MIB / 2
    return f'{start_up_s(ns, pod):.2f} s to "started", {used / MIB:.1f} MiB working set, limit {limit}'
