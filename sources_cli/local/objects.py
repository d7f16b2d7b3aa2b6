"""What Kubernetes objects say, and what Kubernetes would say of a local process. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Json = Any
LocalPorts = Mapping[tuple[str, str], int]  # (namespace, Service) -> port on this machine


@dataclass(frozen=True)
class ReplicaState:
    """``failure``: why it does not run or is not ready now; None while it starts or is ready."""

    ready: bool = False
    was_ready: bool = False
    failure: str | None = None


def deployment_status(
    *, generation: int, newest: ReplicaState, old: ReplicaState | None = None, wanted: int = 1
) -> Json:
    """Kubernetes' words; ``old`` is there while a new template rolls out. One process stands for all replicas wanted.

    Kubernetes calls a crash a failure after ``progressDeadlineSeconds``; here nobody waits for that.
    """
    replicas = [newest, old] if old else [newest]
    ready = sum(it.ready for it in replicas)
    if ready:
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        message = newest.failure or "Deployment does not have minimum availability."
        available = ("False", "MinimumReplicasUnavailable", message)
    if newest.was_ready and not old:
        progressing = ("True", "NewReplicaSetAvailable", "The new replica set has successfully progressed.")
    elif newest.failure and not newest.was_ready:
        progressing = ("False", "ProgressDeadlineExceeded", newest.failure)
    else:
        progressing = ("True", "ReplicaSetUpdated", "The new replica set is progressing.")
    ready *= wanted
    total = len(replicas) * wanted
    counts = {"readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": total - ready}
    return {
        "observedGeneration": generation,
        "replicas": total,
        "updatedReplicas": wanted,
        **{name: count for name, count in counts.items() if count},
        "conditions": [
            {"type": type_, "status": status, "reason": reason, "message": message}
            for type_, (status, reason, message) in (("Available", available), ("Progressing", progressing))
        ],
    }


def container(deployment: Json) -> Json:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def is_display(deployment: Json) -> bool:
    words = [*container(deployment).get("command", []), *container(deployment).get("args", [])]
    return "adapter.display" in words


def local_url(url: str, ports: LocalPorts) -> str:
    """A Service's cluster address becomes its port here; every other URL stays."""
    parts = urlsplit(url)
    name, _, rest = (parts.hostname or "").partition(".")
    namespace, _, zone = rest.partition(".")
    port = ports.get((namespace, name)) if zone == "svc" or zone.startswith("svc.") else None
    return url if port is None else parts._replace(netloc=f"127.0.0.1:{port}").geturl()


def stands_for(service: Json, deployment: Json) -> bool:
    """Whether a Service selects the Deployment's pods."""
    selector = (service.get("spec") or {}).get("selector") or {}
    labels = (deployment["spec"]["template"].get("metadata") or {}).get("labels") or {}
    same_namespace = service["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    return bool(selector) and same_namespace and selector.items() <= labels.items()


def event_of(line: str) -> Json | None:
    """The CloudEvent in one line of the display's output, or None for anything else."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "type" in event and "source" in event else None


def event_source(deployment: Json) -> str:
    """The CloudEvents ``source`` its adapter stamps, if its environment says so."""
    entries = container(deployment).get("env", [])
    return next((str(it.get("value") or "") for it in entries if it["name"] == "EVENT_SOURCE"), "")
