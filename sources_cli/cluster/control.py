"""Faults of the controller: CompositeController, Metacontroller, the hook, and what they refuse. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hooks.diagnosis.reasons import Reason
from hooks.names import get_in, list_in
from sources_cli.cluster.events import first_time, last_time
from sources_cli.cluster.finding import (
    Finding,
    Object,
    Snapshot,
    condition,
    finding,
    object_in,
    objects_in,
    seconds_since,
    served_sink,
    text_in,
)
from sources_cli.cluster.reasons.entry import Fault

RECENT_S = 60.0  # an event that is older may belong to a fault that is over
_RESOURCE = re.compile(r"can't find resource \S+")
_CODE = re.compile(r"unsupported status code: (\d{3})")
_TRUST = ("x509", "tls: ", "caBundle", "clientTLS", "authorization secret", "basicAuth")


def control_findings(snapshot: Snapshot) -> Iterator[Finding]:
    created = get_in(snapshot.source, "metadata", "creationTimestamp")
    if snapshot.controller.is_absent and not condition(snapshot.status, "Ready"):
        yield finding(snapshot, Fault.CONTROLLER_MISSING, since=created)
        return
    found = [*_sync_errors(snapshot), *_hook(snapshot), *_sink_kind(snapshot), *_forbidden(snapshot)]
    found += _not_running(snapshot, explained=bool(found) or snapshot.is_current)
    yield from found
    yield from _ready(snapshot)
    if not snapshot.is_current and not found:
        state = "an old status" if condition(snapshot.status, "Ready") else "no status"
        text = f"The source has {state} and no events: Metacontroller has not called the hook for it."
        yield finding(snapshot, Fault.NOT_RECONCILED, text, created)


def _ready(snapshot: Snapshot) -> Iterator[Finding]:
    ready = condition(snapshot.status, "Ready")
    if ready.get("reason") in (Reason.INVALID_SPEC, Reason.SUSPENDED):
        yield finding(snapshot, ready["reason"], text_in(ready, "message"), ready.get("lastTransitionTime"))


def _sync_errors(snapshot: Snapshot) -> Iterator[Finding]:
    """The last SyncError event, unless the hook has answered since."""
    uid = get_in(snapshot.source, "metadata", "uid")
    errors = [
        event
        for event in snapshot.events.items
        if event.get("reason") == "SyncError" and get_in(event, "involvedObject", "uid") == uid
    ]
    if not errors:
        return
    event = max(errors, key=last_time)
    if snapshot.is_current and _is_over(event, snapshot):
        return
    message = text_in(event, "message").strip()
    yield finding(snapshot, _fault(message), f"Metacontroller reports: {message}", first_time(event))


def _is_over(event: Object, snapshot: Snapshot) -> bool:
    """Of a source whose status is current: the event is old, or a condition has changed after it."""
    last = last_time(event)
    age_s = seconds_since(last, snapshot.now)
    changes = (text_in(one, "lastTransitionTime") for one in objects_in(snapshot.status, "conditions"))
    return age_s is None or age_s > RECENT_S or max(changes, default="") >= last


def _fault(message: str) -> Fault:
    """From the texts of Metacontroller: pkg/hooks/webhook.go, endpoint_config.go and pkg/dynamic/clientset."""
    if _RESOURCE.search(message):
        return Fault.SINK_KIND_NOT_SERVED
    found = _CODE.search(message)
    if found:
        by_code = {"401": Fault.HOOK_REFUSES, "403": Fault.HOOK_REFUSES, "413": Fault.SYNC_TOO_LARGE}
        rest = Fault.HOOK_UNAVAILABLE if found[1].startswith("5") else Fault.SPEC_REFUSED
        return by_code.get(found[1], rest)
    if any(word in message for word in _TRUST):
        return Fault.HOOK_REFUSES
    if "http error: " in message or "can't read response body" in message:
        return Fault.HOOK_UNAVAILABLE
    is_forbidden = "is forbidden" in message and "system:serviceaccount:" in message
    return Fault.METACONTROLLER_FORBIDDEN if is_forbidden else Fault.SYNC_FAILED


def _hook(snapshot: Snapshot) -> Iterator[Finding]:
    service = object_in(snapshot.controller.value, "spec", "hooks", "sync", "webhook", "service")
    if not service or snapshot.hook_slices.problem:
        return
    if not any(map(_has_ready_address, snapshot.hook_slices.items)):
        text = f"No pod of the hook is ready behind the Service {service.get('namespace')}/{service.get('name')}."
        yield finding(snapshot, Fault.HOOK_UNAVAILABLE, text)


def _has_ready_address(slice: Object) -> bool:
    return any(get_in(one, "conditions", "ready") is not False for one in list_in(slice, "endpoints"))


def _sink_kind(snapshot: Snapshot) -> Iterator[Finding]:
    for ref in refs(snapshot):
        if ref.get("apiVersion") != "v1" and snapshot.served and not served_sink(snapshot, ref):
            text = f"The cluster does not serve {ref.get('apiVersion')}/{ref.get('kind')}, the kind of the sink."
            if not snapshot.is_current:
                yield finding(snapshot, Fault.SINK_KIND_NOT_SERVED, text)


def refs(snapshot: Snapshot) -> list[Object]:
    """The references to the sink and the dead letter sink."""
    spec = snapshot.source.get("spec")
    found = get_in(spec, "sink", "ref"), get_in(spec, "delivery", "deadLetterSink", "ref")
    return [ref for ref in found if isinstance(ref, dict)]


def _forbidden(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.forbidden.items:
        account, resources = snapshot.metacontroller, ", ".join(snapshot.forbidden.items)
        text = f"The ServiceAccount {account} of Metacontroller may not watch {resources}."
        yield finding(snapshot, Fault.METACONTROLLER_FORBIDDEN, text, sink_resource=str(snapshot.forbidden.items[0]))


def _not_running(snapshot: Snapshot, *, explained: bool) -> Iterator[Finding]:
    """``explained``: the state of the source has another cause. Then Metacontroller may run outside the cluster."""
    pods = snapshot.metacontroller_pods
    ready = [condition(pod.get("status"), "Ready") for pod in pods.items]
    if pods.problem or any(one.get("status") == "True" for one in ready) or (explained and not ready):
        return
    where = snapshot.metacontroller.partition("/")[0]
    text = f"No pod of Metacontroller is ready in the namespace {where}."
    since = max((str(one.get("lastTransitionTime") or "") for one in ready), default="")
    yield finding(snapshot, Fault.METACONTROLLER_NOT_RUNNING, text, since)
