"""The verdict on the observed Deployment: ``Deployed``, with Kubernetes' own words where it has some. Pure.

True only for the wanted template, fully rolled out and available (design decision 6).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hooks.conditions import Verdict, find, transition_time
from hooks.deployments import TEMPLATE_HASH
from hooks.names import get_in
from hooks.protocol import Object

NOT_CREATED_AFTER = timedelta(seconds=15)
TRY_AGAIN_AFTER = timedelta(seconds=30)
_NONE_AVAILABLE = "no replica is available"
_REMEDIES = (  # what Kubernetes' message holds -> what to do, which it does not say
    ("exceeded quota", "raise the quota, or free some of it"),
    (
        "violates PodSecurity",
        "the namespace refuses this adapter's pod: relax its pod-security label or change the image",
    ),
    ("error looking up service account", "create it, or correct spec.serviceAccountName"),
    ("timed out progressing", "its pods say why, and with DIAGNOSE_PODS this message would"),
)


def deployed_condition(wanted: Object | None, observed: Object | None, *, old_status: Any, now: datetime) -> Verdict:
    """``Deployed`` (design §4): True only for the wanted template, fully rolled out and available."""
    if wanted is None:
        return Verdict(
            "Deployed", "Unknown", "SinkNotResolved", "No adapter runs until the sink is resolved; see SinkProvided"
        )
    name = wanted["metadata"]["name"]
    if observed is None:
        return _absent(name, old_status, now)
    status = get_in(observed, "status") or {}
    current = (
        get_in(observed, "metadata", "annotations", TEMPLATE_HASH) == wanted["metadata"]["annotations"][TEMPLATE_HASH]
        and get_in(status, "observedGeneration") is not None
        and get_in(status, "observedGeneration") == get_in(observed, "metadata", "generation")
    )
    available = _condition(status, "Available")
    if not current:
        return _under_way(name, available)
    for type, bad in (("ReplicaFailure", "True"), ("Progressing", "False")):
        condition = _condition(status, type)
        if condition.get("status") == bad:
            return _failed(name, condition)
    replicas = wanted["spec"]["replicas"]
    counts = [get_in(status, key) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    if counts == [replicas] * 3 and available.get("status") == "True":
        return Verdict("Deployed", "True")
    rolled_out = _condition(status, "Progressing").get("reason") == "NewReplicaSetAvailable"
    if rolled_out and available.get("status") == "False":
        detail = str(available.get("message") or _NONE_AVAILABLE).rstrip(".")
        # Kubernetes itself never says more than that; `sources run` does.
        remedy = "; look at its pods" if "minimum availability" in detail or detail == _NONE_AVAILABLE else ""
        text = f"Deployment {name} is unavailable: {detail}{remedy}"
        return Verdict("Deployed", "False", "DeploymentUnavailable", text)
    return _under_way(name, available)


def resync_after(verdict: Verdict, observed: Object | None) -> timedelta | None:
    """While the Deployment is missing: Metacontroller does not retry where another one has its name."""
    waits = {"AdapterStarting": NOT_CREATED_AFTER, "DeploymentNotCreated": TRY_AGAIN_AFTER}
    return waits.get(verdict.reason) if observed is None else None


def _absent(name: str, old_status: Any, now: datetime) -> Verdict:
    missing = Verdict(
        "Deployed",
        "False",
        "DeploymentNotCreated",
        f"Deployment {name} was wanted but is not this source's; its SyncError event says why: kubectl describe it. "
        "Without one, somebody else's Deployment has the name: delete that, or create the source anew",
    )
    if (
        transition_time(old_status, "Deployed", "False")
        and _condition(old_status, "Deployed").get("reason") == missing.reason
    ):
        return missing
    # Deployed stays Unknown from "no sink yet" to "starting", so the wait begins when the later of the two began.
    waiting = transition_time(old_status, "Deployed", "Unknown")
    sink = transition_time(old_status, "SinkProvided", "True")
    if waiting and sink and now - max(waiting, sink) >= NOT_CREATED_AFTER:
        return missing
    return Verdict("Deployed", "Unknown", "AdapterStarting", f"Deployment {name} is being created")


def _under_way(name: str, available: Object) -> Verdict:
    if available.get("status") == "True":
        return Verdict(
            "Deployed", "Unknown", "AdapterUpdating", f"Deployment {name} is rolling out the wanted template"
        )
    return Verdict("Deployed", "Unknown", "AdapterStarting", f"Deployment {name} is starting its first replica")


def _failed(name: str, condition: Object) -> Verdict:
    reason = condition.get("reason")
    message = condition.get("message")
    if not isinstance(message, str) or not message:
        message = f"Deployment {name} failed; look at its events"
    remedy = next((it for words, it in _REMEDIES if words in message), None)
    return Verdict(
        "Deployed",
        "False",
        reason if isinstance(reason, str) and reason else "DeploymentUnavailable",
        f"{message.rstrip('.')}; {remedy}" if remedy else message,
    )


def _condition(status: Any, type: str) -> Object:
    return find(status, type) or {}
