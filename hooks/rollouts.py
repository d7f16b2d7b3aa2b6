"""``Deployed``: whether the observed Deployment is the wanted one, rolled out and available. Pure.

Where Kubernetes gives a reason and a message, the condition repeats them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from adapter.contract.formats import Json
from hooks.children.deployment import TEMPLATE_HASH
from hooks.conditions import ConditionState, ConditionType
from hooks.diagnosis.observed import find, transition_time
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in, list_in
from hooks.pod_settings.reserved import CHECKPOINT_VOLUME
from hooks.protocol import Object

NOT_CREATED_AFTER = timedelta(seconds=15)
TRY_AGAIN_AFTER = timedelta(seconds=30)
STARTS_WITHIN = timedelta(seconds=60)  # as progressDeadlineSeconds, which does not apply to a Deployment that is scaled
_NONE_AVAILABLE = "no replica is available"
_REMEDIES = (  # part of a message of Kubernetes -> what to do
    ("exceeded quota", "raise the quota, or free some of it"),
    ("must specify ", "set them in spec.adapter.resources, or in the file of --adapter-defaults"),
    (" usage per ", "change spec.adapter.resources, or the LimitRange of the namespace"),
    ("no PriorityClass with name ", "create it, or correct spec.adapter.priorityClassName"),
    ("violates PodSecurity", "change the pod-security label of the namespace, or the image"),
    ("error looking up service account", "create it, or correct spec.serviceAccountName"),
    ("timed out progressing", "check its pods, or enable DIAGNOSE_PODS to see the reason here"),
)


def deployed_condition(
    wanted: Object | None,
    observed: Object | None,
    *,
    old_status: Json,
    now: datetime,
    listens: bool,
    suspended: bool,
) -> ConditionState:
    """``wanted``: None while the sink is not resolved. ``old_status``: the present status of the source.

    ``listens``: the adapter stays ready while the sink accepts no event.
    """
    if suspended:
        return _suspended(observed)
    if wanted is None:
        text = "No adapter runs until the sink is resolved; see SinkProvided"
        return _deployed("Unknown", Reason.SINK_NOT_RESOLVED, text)
    name = wanted["metadata"]["name"]
    if observed is None:
        return _absent(name, old_status, now)
    status = get_in(observed, "status") or {}
    available = _condition(status, "Available")
    if not _is_current(wanted, observed):
        return _in_progress(name, status)
    for type, bad in (("ReplicaFailure", "True"), ("Progressing", "False")):
        condition = _condition(status, type)
        if condition.get("status") == bad:
            return _failed(name, condition)
    counts = [get_in(status, key) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    if counts == [wanted["spec"]["replicas"]] * 3 and available.get("status") == "True":
        return ConditionState(ConditionType.DEPLOYED, "True")
    if not (_is_rolled_out(status) and available.get("status") == "False"):
        return _in_progress(name, status)
    if _recreates(wanted) and not get_in(status, "updatedReplicas"):
        return _between_pods(wanted, old_status, now)
    if _time_to_start(wanted, old_status, now):
        return _in_progress(name, status)
    return _unavailable(wanted, available, listens)


def resync_after(
    deployed: ConditionState, observed: Object | None, *, old_status: Json, now: datetime
) -> timedelta | None:
    """When to sync again, if Metacontroller may get no event: the Deployment is missing, was scaled up, or recreates.

    The first sync of a source requests nothing: its new Deployment causes the next one. Later another Deployment may
    have its name, which contains the uid of the source. Metacontroller reports no error then, and gets no event. A
    requested sync cannot be taken back, so each new source would pay for one that it does not need.
    """
    if observed is not None:
        scaled_up = deployed.reason == Reason.ADAPTER_STARTING and _is_rolled_out(get_in(observed, "status"))
        return _time_to_start(observed, old_status, now) if scaled_up else None
    if deployed.reason == Reason.DEPLOYMENT_NOT_CREATED:
        return TRY_AGAIN_AFTER
    synced_before = bool(get_in(old_status, "conditions"))
    return NOT_CREATED_AFTER if deployed.reason == Reason.ADAPTER_STARTING and synced_before else None


def _deployed(status: Literal["False", "Unknown"], reason: str, message: str) -> ConditionState:
    return ConditionState(ConditionType.DEPLOYED, status, reason, message)


def _is_current(wanted: Object, observed: Object) -> bool:
    """Whether the observed Deployment has the wanted template, and its status is about this template."""
    seen = get_in(observed, "status", "observedGeneration")
    return (
        get_in(observed, "metadata", "annotations", TEMPLATE_HASH) == wanted["metadata"]["annotations"][TEMPLATE_HASH]
        and seen is not None
        and seen == get_in(observed, "metadata", "generation")
    )


def _is_rolled_out(status: Json) -> bool:
    """Kubernetes does not take this back when the Deployment is scaled up."""
    return bool(_condition(status, "Progressing").get("reason") == "NewReplicaSetAvailable")


def _recreates(deployment: Object) -> bool:
    return bool(get_in(deployment, "spec", "strategy", "type") == "Recreate")


def _grace_period(deployment: Object) -> timedelta:
    return timedelta(seconds=get_in(deployment, "spec", "template", "spec", "terminationGracePeriodSeconds") or 0)


def _time_to_start(deployment: Object, old_status: Json, now: datetime) -> timedelta | None:
    """How long a Deployment that was scaled up, or recreates, may still be unavailable; None if it is not starting.

    The status of the source may be older than the Deployment: a source that was resumed may still be Suspended in it.
    """
    within = STARTS_WITHIN + (_grace_period(deployment) if _recreates(deployment) else timedelta())
    if _condition(old_status, ConditionType.DEPLOYED).get("reason") == Reason.SUSPENDED:
        return within
    since = transition_time(old_status, ConditionType.DEPLOYED, "Unknown")
    return since + within - now if since and now - since < within else None


def _between_pods(wanted: Object, old_status: Json, now: datetime) -> ConditionState:
    """The strategy Recreate: the old pod is stopping. Kubernetes does not count it, and still reports the old rollout.

    The status of the source may be older than the Deployment. So only a wait that has begun can be too long.
    """
    meta = wanted["metadata"]
    old = _condition(old_status, ConditionType.DEPLOYED)
    waited = old.get("status") == "Unknown" or old.get("reason") == Reason.DEPLOYMENT_UNAVAILABLE
    if waited and not _time_to_start(wanted, old_status, now):
        text = (
            f"Deployment {meta['name']} is unavailable: its old pod has not ended within its grace period of "
            f"{_grace_period(wanted).total_seconds():.0f} s, and the new one starts after it. The node of the old pod "
            f"may be down; see `kubectl get pods -o wide -n {meta['namespace']}`"
        )
        return _deployed("False", Reason.DEPLOYMENT_UNAVAILABLE, text)
    volumes = [get_in(volume, "name") for volume in list_in(wanted, "spec", "template", "spec", "volumes")]
    cause = ", because of its checkpoint volume" if CHECKPOINT_VOLUME in volumes else ""
    text = f"Deployment {meta['name']} starts its new pod when the old one has ended{cause}"
    return _deployed("Unknown", Reason.ADAPTER_STARTING, text)


def _suspended(observed: Object | None) -> ConditionState:
    """Kubernetes before 1.35 does not count pods that are terminating."""
    text = "spec.suspend is true. No adapter runs"
    if observed is not None:
        name = get_in(observed, "metadata", "name")
        pods = [get_in(observed, "status", key) for key in ("replicas", "terminatingReplicas")]
        is_stopping = get_in(observed, "spec", "replicas") != 0 or any(pods)
        state = "is stopping its adapter, which still sends the events in flight" if is_stopping else "has 0 replicas"
        text = f"spec.suspend is true. Deployment {name} {state}"
    return _deployed("False", Reason.SUSPENDED, f"{text}. To resume, set spec.suspend to false")


def _absent(name: str, old_status: Json, now: datetime) -> ConditionState:
    failed_before = transition_time(old_status, ConditionType.DEPLOYED, "False") and (
        _condition(old_status, ConditionType.DEPLOYED).get("reason") == Reason.DEPLOYMENT_NOT_CREATED
    )
    # Deployed is also Unknown before the sink is resolved. So the wait begins at the later of the two transitions.
    waiting = transition_time(old_status, ConditionType.DEPLOYED, "Unknown")
    sink = transition_time(old_status, ConditionType.SINK_PROVIDED, "True")
    if failed_before or (waiting and sink and now - max(waiting, sink) >= NOT_CREATED_AFTER):
        return _deployed(
            "False",
            Reason.DEPLOYMENT_NOT_CREATED,
            f"Deployment {name} could not be created. Run `kubectl describe` on the source and look for a SyncError "
            "event. If there is none, the name is taken by another Deployment: delete it, or recreate the source",
        )
    return _starting(name)


def _in_progress(name: str, status: Json) -> ConditionState:
    # A Deployment with 0 replicas is "available".
    if _condition(status, "Available").get("status") == "True" and get_in(status, "replicas"):
        text = f"Deployment {name} is rolling out the new template"
        return _deployed("Unknown", Reason.ADAPTER_UPDATING, text)
    return _starting(name)


def _starting(name: str) -> ConditionState:
    """The same text before and after the Deployment exists: another one would be one more write per new source."""
    return _deployed("Unknown", Reason.ADAPTER_STARTING, f"Deployment {name} is starting its adapter")


def _unavailable(wanted: Object, available: Object, listens: bool) -> ConditionState:
    name = wanted["metadata"]["name"]
    detail = str(available.get("message") or _NONE_AVAILABLE).rstrip(".")
    if "minimum availability" in detail or detail == _NONE_AVAILABLE:
        # Neither Kubernetes nor the hook knows the cause: a kubelet does not pass on the body of a probe's response.
        sink = "" if listens else "the sink has accepted no event for 30 s; "
        where = f"kubectl logs -n {wanted['metadata']['namespace']} deployment/{name}"
        causes = f"its pod does not run, or does not answer; {sink}the source reports that it is not ready"
        detail += f". Possible causes: {causes}. See `{where}`"
    text = f"Deployment {name} is unavailable: {detail}"
    return _deployed("False", Reason.DEPLOYMENT_UNAVAILABLE, text)


def _failed(name: str, condition: Object) -> ConditionState:
    reason = condition.get("reason")
    message = condition.get("message")
    if not isinstance(message, str) or not message:
        message = f"Deployment {name} failed; look at its events"
    remedy = next((text for part, text in _REMEDIES if part in message), None)
    return _deployed(
        "False",
        reason if isinstance(reason, str) and reason else Reason.DEPLOYMENT_UNAVAILABLE,
        f"{message.rstrip('.')}; {remedy}" if remedy else message,
    )


def _condition(status: Json, type: str) -> Object:
    return find(status, type) or {}
