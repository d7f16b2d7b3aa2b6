"""Faults of the sink's object, the Deployment and its pods. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapter.contract.formats import Json
from hooks.diagnosis.pods import failures, unready
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in, list_in
from sources_cli.cluster.finding import (
    Finding,
    Object,
    Read,
    Snapshot,
    condition,
    deployment_name,
    finding,
    object_in,
    owner_uid,
    text_in,
)
from sources_cli.cluster.reasons.entry import Fault, Step

TEMPLATE_HASH = "samples.knative.dev/template-hash"


def sink_findings(snapshot: Snapshot) -> Iterator[Finding]:
    for type in ("SinkProvided", "DeadLetterSinkResolved"):
        state = condition(snapshot.status, type)
        if state.get("status") == "False":
            ref = get_in(snapshot.source, "spec", "delivery", "deadLetterSink", "ref")
            place = {"sink_name": text_in(ref, "name")} if type != "SinkProvided" and ref else {}
            yield finding(
                snapshot,
                state.get("reason"),
                text_in(state, "message"),
                state.get("lastTransitionTime"),
                Step.SINK,
                **place,
            )
    yield from _object(snapshot, snapshot.sink, snapshot.sink_slices)
    yield from _object(snapshot, snapshot.dead_letter_sink, snapshot.dead_letter_slices)


def _object(snapshot: Snapshot, read: Read, slices: Read) -> Iterator[Finding]:
    sink = read.value
    name, namespace = text_in(sink, "metadata", "name"), text_in(sink, "metadata", "namespace")
    place: dict[str, Any] = {"sink_namespace": namespace, "sink_name": name}
    ready = condition(get_in(sink, "status"), "Ready")
    if ready and ready.get("status") != "True":
        told = str(ready.get("message") or ready.get("reason") or "").rstrip(".")
        text = f"{_name(sink)} is not ready{f': {told}' if told else ''}."
        yield finding(snapshot, Fault.SINK_NOT_READY, text, ready.get("lastTransitionTime"), **place)
    has_endpoints = get_in(sink, "kind") == "Service" and get_in(sink, "spec", "type") != "ExternalName"
    if has_endpoints and not slices.problem and (text := _without_endpoints(sink, slices.items)):
        yield finding(snapshot, Fault.SINK_WITHOUT_ENDPOINTS, text, **place)


def _without_endpoints(sink: Json, slices: list[Json]) -> str:
    """Why no pod of the Service can be reached; empty if one can."""
    if any(_is_usable(slice) for slice in slices):
        return ""
    shown = ",".join(f"{key}={value}" for key, value in object_in(sink, "spec", "selector").items())
    addresses = [one for slice in slices for one in list_in(slice, "endpoints")]
    if any(get_in(one, "conditions", "ready") is not False for one in addresses):
        return f"{_name(sink)} has no port: no pod has a port with the name in its targetPort."
    if addresses:
        return f"{_name(sink)} has pods, but none of them is ready."
    return f"{_name(sink)} has no pods{f': none has the labels {shown}' if shown else ' and no selector'}."


def _is_usable(slice: Object) -> bool:
    ready = (get_in(one, "conditions", "ready") is not False for one in list_in(slice, "endpoints"))
    return any(ready) and bool(list_in(slice, "ports"))


def _name(document: Json) -> str:
    meta = object_in(document, "metadata")
    return f"{get_in(document, 'kind')} {meta.get('namespace')}/{meta.get('name')}"


def deployment_findings(snapshot: Snapshot) -> Iterator[Finding]:
    state = condition(snapshot.status, "Deployed")
    reason, since = state.get("reason"), state.get("lastTransitionTime")
    named = snapshot.named_deployment.value
    if named and owner_uid(named) != get_in(snapshot.source, "metadata", "uid"):
        name = deployment_name(snapshot.source)
        text = f"Deployment {name} exists and does not belong to the source."
        yield finding(snapshot, Fault.DEPLOYMENT_NAME_TAKEN, text, since)
    if reason and reason != Reason.SUSPENDED:
        yield finding(snapshot, str(reason), str(state.get("message")), since)
    failed = condition(get_in(snapshot.deployment, "status"), "ReplicaFailure")
    if failed.get("status") == "True" and failed.get("reason") != reason:
        yield finding(snapshot, str(failed.get("reason")), str(failed.get("message")), failed.get("lastTransitionTime"))


def current_pods(snapshot: Snapshot) -> list[Object]:
    """The pods of the Deployment's present template that are not being deleted."""
    path = ("metadata", "annotations", TEMPLATE_HASH)
    wanted = get_in(snapshot.deployment, *path)
    return [
        pod
        for pod in snapshot.pods.items
        if not get_in(pod, "metadata", "deletionTimestamp") and get_in(pod, *path) == wanted
    ]


def pod_findings(snapshot: Snapshot) -> Iterator[Finding]:
    for pod in current_pods(snapshot):
        meta = pod["metadata"]
        name = f"Pod {meta.get('namespace')}/{meta['name']}"
        since = _not_ready_since(pod)
        for reason, message in failures(pod, name):
            yield finding(snapshot, str(reason), message, since, pod=meta["name"])
        if not is_running(pod):
            for message in unready(pod, name):  # it waits for its files
                yield finding(snapshot, Fault.NOT_READY, message, since, Step.POD, pod=meta["name"])
    for name, read in snapshot.references.items():
        if read.is_absent and snapshot.deployment:
            kind, _, own = name.partition("/")
            text = f"{kind} {own} does not exist in the namespace {snapshot.source['metadata']['namespace']}."
            yield finding(snapshot, Fault.OBJECT_MISSING, text, missing_resource=kind.lower())


def is_running(pod: Object) -> bool:
    return any(get_in(one, "state", "running") for one in list_in(pod, "status", "containerStatuses"))


def _not_ready_since(pod: Object) -> Json:
    for type in ("PodScheduled", "Ready"):
        state = condition(pod.get("status"), type)
        if state.get("status") == "False":
            return state.get("lastTransitionTime")
    return get_in(pod, "status", "startTime")
