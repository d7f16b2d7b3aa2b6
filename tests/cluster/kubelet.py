"""The kubelet's part for pods that kwok ignores: tests write the pod status with the reasons and texts of a kubelet."""

from __future__ import annotations

from typing import Any

from hooks.deployments import TEMPLATE_HASH
from tests.cluster.api import Object, eventually
from tests.cluster.world import DEPLOYMENTS, Home

AT = "2026-01-01T00:00:00Z"


def newest_pod(home: Home, source: str) -> Object:
    """Wait until the pod of the Deployment's current template is scheduled; return it."""
    labels = {"labelSelector": f"knative-eventing-source-name={source}"}

    def found() -> list[Object]:
        deployments = home.api.list(*DEPLOYMENTS, home.namespace, **labels)
        hashes = [it["metadata"]["annotations"][TEMPLATE_HASH] for it in deployments]
        pods = home.api.list("v1", "pods", home.namespace, **labels)
        return [it for it in pods if [it["metadata"]["annotations"][TEMPLATE_HASH]] == hashes]

    def scheduled(pods: list[Object]) -> bool:
        return [("nodeName" in it["spec"]) for it in pods] == [True]

    return dict(eventually(found, scheduled, f"the newest pod of {source} is scheduled", more=home.story)[0])


def run(home: Home, pod: Object) -> None:
    _write(home, pod, {"running": {"startedAt": AT}}, ready=True)


def wait(home: Home, pod: Object, reason: str, message: str, ended: Object | None = None) -> None:
    """``ended``: how the container ended the last time (``lastState.terminated``)."""
    times = {"startedAt": AT, "finishedAt": AT}
    last = {"terminated": {**times, "containerID": "containerd://1", **ended}} if ended else {}
    _write(home, pod, {"waiting": {"reason": reason, "message": message}}, last=last)


def _write(home: Home, pod: Object, state: Object, *, last: Any = None, ready: bool = False) -> None:
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
    told = str(ready)
    conditions = {"PodScheduled": "True", "Initialized": "True", "ContainersReady": told, "Ready": told}
    document = {
        "phase": "Running" if ready or last else "Pending",
        "conditions": [{"type": type, "status": it, "lastTransitionTime": AT} for type, it in conditions.items()],
        "containerStatuses": [status],
    }
    home.api.patch("v1", "pods", pod["metadata"]["name"], {"status": document}, home.namespace, "/status")
