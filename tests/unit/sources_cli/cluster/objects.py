"""Objects as an API server returns them, and snapshots of them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from sources_cli.cluster.finding import ABSENT, Read, Snapshot, deployment_name
from sources_cli.cluster.kinds import ServedKind
from sources_cli.cluster.workload import TEMPLATE_HASH

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT = "2026-01-01T11:58:00Z"
KIND = ServedKind("samples.knative.dev/v1alpha1", "SampleSource", "samplesources", ("samplesource", "ssrc"), True)
SERVICES = ServedKind("v1", "Service", "services", ("service", "svc"))
HASH = {TEMPLATE_HASH: "0123456789abcdef"}
SINK = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}}
POD = "samplesource-hello-u-1-abcde"


def conditions(**states: str | tuple[str, str, str]) -> list[Any]:
    """``Ready="True"``, or ``Ready=("False", reason, message)``."""
    listed = []
    for type, state in states.items():
        status, reason, message = (state, "", "") if isinstance(state, str) else state
        more = {"reason": reason, "message": message} if reason else {}
        listed.append({"type": type, "status": status, "lastTransitionTime": AT, **more})
    return listed


def source(*, spec: Any = None, generation: int = 1, **states: str | tuple[str, str, str]) -> Any:
    """``states``: the conditions; none for a source without a status."""
    status = {"conditions": conditions(**states), "observedGeneration": 1, "sinkUri": "http://display.default.svc"}
    return {
        "apiVersion": KIND.api_version,
        "kind": KIND.kind,
        "metadata": {
            "namespace": "default", "name": "hello", "uid": "u-1", "generation": generation, "creationTimestamp": AT,
        },
        "spec": {"sink": SINK, **(spec or {})},
        **({"status": status} if states else {}),
    }  # fmt: skip


READY = source(Ready="True", SinkProvided="True", Deployed="True")


def failed(type: str, reason: str, message: str = "what is wrong") -> Any:
    """A source whose condition ``type`` is False, and Ready with it."""
    state = ("False", reason, message)
    return source(**{"SinkProvided": "True", "Deployed": "True", type: state, "Ready": state})


def owned(uid: str, **more: Any) -> Any:
    return {"namespace": "default", "ownerReferences": [{"uid": uid, "controller": True}], **more}


def deployment(**pod: Any) -> Any:
    return {
        "kind": "Deployment",
        "metadata": owned("u-1", name=deployment_name(READY), annotations=HASH),
        "spec": {"replicas": 1, "template": {"spec": {"containers": [], **pod}}},
        "status": {"availableReplicas": 1},
    }


def pod(state: Any = None, *, ready: bool = False, last: Any = None, **status: Any) -> Any:
    """A pod of the present template. ``state``: of its container; default running."""
    container = {
        "name": "receive-adapter", "image": "registry.local/adapter:1", "ready": ready,
        "state": state or {"running": {"startedAt": AT}}, "lastState": {"terminated": last} if last else {},
    }  # fmt: skip
    words = {"PodScheduled": "True", "Ready": "True" if ready else "False"}
    return {
        "kind": "Pod",
        "metadata": owned("r-1", name=POD, annotations=HASH, creationTimestamp=AT),
        "spec": {"containers": [{"name": "receive-adapter", "resources": {"limits": {"memory": "128Mi"}}}]},
        "status": {
            "phase": "Running", "conditions": conditions(**words), "containerStatuses": [container], **status,
        },
    }  # fmt: skip


def sync_error(message: str) -> Any:
    return {
        "reason": "SyncError", "type": "Warning", "message": message, "count": 3,
        "firstTimestamp": AT, "lastTimestamp": "2026-01-01T11:59:30Z",
        "involvedObject": {"kind": "SampleSource", "name": "hello", "uid": "u-1"},
    }  # fmt: skip


def service(**spec: Any) -> Any:
    return {
        "kind": "Service",
        "metadata": {"name": "display", "namespace": "default"},
        "spec": {"selector": {"app": "display"}, "ports": [{"port": 80}], **spec},
    }


def slice(*ready: bool, ports: Any = ({"port": 8080},)) -> Any:
    return {"endpoints": [{"conditions": {"ready": one}} for one in ready], "ports": list(ports)}


def log(*entries: Any) -> str:
    return "".join(json.dumps({"ts": "2026-01-01T11:58:30.123Z", "level": "warn", **entry}) + "\n" for entry in entries)


def controller(namespace: str = "sample-source") -> Any:
    webhook = {"service": {"name": "sources-hook", "namespace": namespace}}
    return {
        "metadata": {"name": "samplesources.samples.knative.dev"},
        "spec": {
            "parentResource": {"apiVersion": KIND.api_version, "resource": KIND.plural},
            "hooks": {"sync": {"webhook": webhook}},
        },
    }


def metacontroller_pod(ready: str = "True") -> Any:
    return {
        "metadata": {"name": "metacontroller-0"},
        "spec": {"serviceAccountName": "metacontroller"},
        "status": {"conditions": conditions(Ready=ready)},
    }


def snapshot(document: Any = READY, **reads: Any) -> Snapshot:
    """A healthy source, with these answers instead. A value that is no :class:`Read` is the answer of a read."""
    healthy: dict[str, Any] = {
        "controller": controller(),
        "metacontroller_pods": [metacontroller_pod()],
        "hook_slices": [slice(True)],
        "forbidden": [],
        "deployments": [deployment()],
        "named_deployment": deployment(),
        "replica_sets": [],
        "pods": [pod(ready=True)],
        "events": [],
        "sink": service(),
        "sink_slices": [slice(True)],
        "logs": {POD: Read("")},
        "readiness": {POD: Read((200, "ok\n"))},
        "metrics": {POD: Read('source_last_success_timestamp_seconds{name="hello"} 1767268700.5\n')},
    }
    values = {**healthy, **reads}
    plain = ("logs", "readiness", "metrics", "references", "served", "metacontroller")
    answers = {
        name: value if name in plain or isinstance(value, Read) else Read(copy.deepcopy(value))
        for name, value in values.items()
    }
    return Snapshot(NOW, KIND, copy.deepcopy(document), **{"served": (KIND, SERVICES), **answers})


def unfinished(document: Any, **reads: Any) -> Snapshot:
    """A source without a Deployment and without pods."""
    none = {"deployments": [], "named_deployment": ABSENT, "pods": [], "logs": {}, "readiness": {}, "metrics": {}}
    return snapshot(document, **{**none, **reads})
