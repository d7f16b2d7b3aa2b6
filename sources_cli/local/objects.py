"""Reads Kubernetes objects, and describes local processes as Kubernetes would. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from adapter.contract.formats import Json

DISPLAY_MODULE = "adapter.display"  # a sink that prints events, started with `python -m`
LocalPorts = Mapping[tuple[str, str], int]  # (namespace, Service) -> port on this machine


@dataclass(frozen=True)
class ReplicaState:
    """``failure``: why the process does not run or is not ready. None while it starts, and when it is ready."""

    ready: bool = False
    was_ready: bool = False
    failure: str | None = None


def deployment_status(
    *,
    generation: int,
    newest: ReplicaState | None,
    old: ReplicaState | None = None,
    wanted: int = 1,
    terminating: int = 0,
) -> Json:
    """The status of a Deployment with ``wanted`` replicas, all of them represented by one process.

    ``newest`` is None if no replica is wanted. ``old`` is the previous replica while a new template rolls out. A crash
    is reported as ProgressDeadlineExceeded at once; Kubernetes would wait for ``progressDeadlineSeconds``.
    """
    replicas = [replica for replica in (newest, old) if replica]
    newest = newest or ReplicaState(was_ready=True)
    ready = sum(replica.ready for replica in replicas)
    if ready or not replicas:
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
        "terminatingReplicas": terminating,
        **{name: count for name, count in counts.items() if count},
        "conditions": [
            {"type": type_, "status": status, "reason": reason, "message": message}
            for type_, (status, reason, message) in (("Available", available), ("Progressing", progressing))
        ],
    }


def edited(stored: Json, spec: Json, annotations: Json) -> Json:
    """The object after ``kubectl apply``: a different spec increments the generation."""
    metadata = stored["metadata"]
    if spec != stored.get("spec"):
        metadata = {**metadata, "generation": metadata["generation"] + 1}
    if annotations != metadata.get("annotations"):
        metadata = {**metadata, "annotations": annotations}
    return {**stored, "spec": spec, "metadata": metadata}


def container(deployment: Json) -> Json:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def wants_process(deployment: Json) -> bool:
    """Whether ``replicas`` is not 0. A display always runs: ``sources run`` sends the events to it."""
    return deployment["spec"].get("replicas") != 0 or is_display(deployment)


def is_display(deployment: Json) -> bool:
    words = [*container(deployment).get("command", []), *container(deployment).get("args", [])]
    return DISPLAY_MODULE in words


def local_url(url: str, ports: LocalPorts) -> str:
    """Replaces the cluster address of a Service with its port on this machine. Other URLs stay the same.

    The scheme becomes http: a display has no certificate.
    """
    parts = urlsplit(url)
    name, _, rest = (parts.hostname or "").partition(".")
    namespace, _, zone = rest.partition(".")
    port = ports.get((namespace, name)) if zone == "svc" or zone.startswith("svc.") else None
    return url if port is None else parts._replace(scheme="http", netloc=f"127.0.0.1:{port}").geturl()


def selects(service: Json, deployment: Json) -> bool:
    """Whether the Service selects the pods of the Deployment."""
    selector = (service.get("spec") or {}).get("selector") or {}
    labels = (deployment["spec"]["template"].get("metadata") or {}).get("labels") or {}
    same_namespace = service["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    return bool(selector) and same_namespace and selector.items() <= labels.items()


def parse_event(line: str) -> Json | None:
    """The CloudEvent in a line of the display's output; None if the line is something else."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "type" in event and "source" in event else None


def event_source(deployment: Json) -> str:
    """The CloudEvents ``source`` of the adapter's events; empty if its environment does not set one."""
    entries = container(deployment).get("env", [])
    return next((str(entry.get("value") or "") for entry in entries if entry["name"] == "EVENT_SOURCE"), "")
