"""The kubelet's part for pods that kwok ignores: tests write the pod status with the reasons and texts of a kubelet."""

from __future__ import annotations

from typing import Any

from hooks.children.deployment import TEMPLATE_HASH
from tests.cluster.api import Api, Object, eventually
from tests.cluster.local_cluster import DEPLOYMENTS
from tests.cluster.namespace import SourceNamespace

AT = "2026-01-01T00:00:00Z"


def newest_pod(ns: SourceNamespace, source: str) -> Object:
    """Wait until the pod of the Deployment's current template is scheduled; return it."""
    labels = {"labelSelector": f"knative-eventing-source-name={source}"}

    def found() -> list[Object]:
        deployments = ns.api.list(*DEPLOYMENTS, ns.name, **labels)
        hashes = [deployment["metadata"]["annotations"][TEMPLATE_HASH] for deployment in deployments]
        pods = ns.api.list("v1", "pods", ns.name, **labels)
        return [pod for pod in pods if [pod["metadata"]["annotations"][TEMPLATE_HASH]] == hashes]

    def scheduled(pods: list[Object]) -> bool:
        return [("nodeName" in pod["spec"]) for pod in pods] == [True]

    return dict(eventually(found, scheduled, f"the newest pod of {source} is scheduled", details=ns.describe)[0])


def set_running(ns: SourceNamespace, pod: Object) -> None:
    write(ns.api, pod, {"running": {"startedAt": AT}}, ready=True)


def set_waiting(ns: SourceNamespace, pod: Object, reason: str, message: str, ended: Object | None = None) -> None:
    """``ended``: how the container ended the last time (``lastState.terminated``)."""
    times = {"startedAt": AT, "finishedAt": AT}
    last = {"terminated": {**times, "containerID": "containerd://1", **ended}} if ended else {}
    write(ns.api, pod, {"waiting": {"reason": reason, "message": message}}, last=last)


def write(api: Api, pod: Object, state: Object, *, last: Any = None, ready: bool = False) -> None:
    [container] = pod["spec"]["containers"]
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 1 if last else 0,
        "state": state,
        "lastState": last or {},
    }
    ready_text = str(ready)
    conditions = {"PodScheduled": "True", "Initialized": "True", "ContainersReady": ready_text, "Ready": ready_text}
    document = {
        "phase": "Running" if ready or last else "Pending",
        "conditions": [
            {"type": type, "status": status, "lastTransitionTime": AT} for type, status in conditions.items()
        ],
        "containerStatuses": [status],
    }
    meta = pod["metadata"]
    api.patch("v1", "pods", meta["name"], {"status": document}, meta["namespace"], "/status")
