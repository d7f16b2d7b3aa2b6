"""Why a pod does not run, from its status: reasons and messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.contract.crash import crash_cause
from adapter.contract.formats import Json, format_time
from hooks.diagnosis.observed import Object, find, transition_time
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in, list_in

PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_TEXT_LIMIT = 600
_NODE_REMEDY = "add a node that fits, or change spec.adapter.tolerations, nodeSelector, affinity or resources"
_CLAIM_REMEDY = "create the PersistentVolumeClaim in the namespace, or see `kubectl describe pvc` why it is not bound"


def failures(pod: Object, name: str) -> Iterator[tuple[str, str]]:
    scheduled = find(get_in(pod, "status"), "PodScheduled") or {}
    if scheduled.get("status") == "False":
        message = _short(scheduled.get("message")).rstrip(".") or "no node fits"
        remedy = _CLAIM_REMEDY if "persistentvolumeclaim" in message.lower() else _NODE_REMEDY
        yield Reason.UNSCHEDULABLE, f"{name} cannot be scheduled: {message}; {remedy}"
    for container in list_in(pod, "status", "containerStatuses"):
        if not get_in(container, "ready"):
            yield from _waiting(container, pod, name)
            yield from _ended(container, pod, name)
    if get_in(pod, "status", "phase") == "Failed":
        reason, message = get_in(pod, "status", "reason"), _short(get_in(pod, "status", "message"))
        yield str(reason or Reason.POD_FAILED), f"{name} failed: {message or 'see its events'}"


def unready(pod: Object, name: str) -> Iterator[str]:
    """Messages about running containers that are not ready, and about those that wait for a Secret or a claim.

    They refer to the log and to events: the pod's status has no details.
    """
    for container in list_in(pod, "status", "containerStatuses"):
        if get_in(container, "state", "waiting", "reason") == "ContainerCreating" and (names := _needed(pod)):
            namespace = get_in(pod, "metadata", "namespace")
            where = f"kubectl describe pod -n {namespace} {get_in(pod, 'metadata', 'name')}"
            yield f"{name} waits for its files; create {names} in namespace {namespace} if missing; see `{where}`"
        if isinstance(get_in(container, "state", "running"), dict) and not get_in(container, "ready"):
            where = f"kubectl logs -n {get_in(pod, 'metadata', 'namespace')} {get_in(pod, 'metadata', 'name')}"
            since = transition_time(get_in(pod, "status"), "Ready", "False")
            unready = f"not ready since {format_time(since)}" if since else "not ready"
            yield f"{name} is running but {unready}; see its log: `{where}`"


def _needed(pod: Object) -> str:
    """The Secrets and claims without which the kubelet does not create the containers."""
    volumes = list_in(pod, "spec", "volumes")
    secrets = [secret for volume in volumes if (secret := get_in(volume, "secret")) and not get_in(secret, "optional")]
    claims = [claim for volume in volumes if (claim := get_in(volume, "persistentVolumeClaim"))]
    listed = (
        _listed("Secret", [str(get_in(secret, "secretName")) for secret in secrets]),
        _listed("PersistentVolumeClaim", [str(get_in(claim, "claimName")) for claim in claims]),
    )
    return " and ".join(filter(None, listed))


def _listed(kind: str, names: list[str]) -> str:
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""


def _waiting(container: Json, pod: Object, name: str) -> Iterator[tuple[str, str]]:
    reason, message = (str(get_in(container, "state", "waiting", key) or "") for key in ("reason", "message"))
    if reason in PULL:
        # The kubelet alternates between ErrImagePull and ImagePullBackOff. One reason for both keeps the status stable.
        cause = _short(message.rpartition(": ErrImagePull: ")[2]) or reason
        reason = Reason.IMAGE_PULL_BACK_OFF if reason == "ErrImagePull" else reason
        image = get_in(container, "image")
        remedy = "correct the image name, push the image, or set spec.adapter.imagePullSecrets"
        yield reason, f'{name} cannot pull image "{image}": {cause}; {remedy}'
    elif reason in CREATE:
        namespace = get_in(pod, "metadata", "namespace")
        needs_object = reason == "CreateContainerConfigError"
        remedy = f"create the missing object in namespace {namespace}" if needs_object else "check the image"
        yield reason, f"{name} cannot start: {_short(message) or reason}; {remedy}"


def _ended(container: Json, pod: Object, name: str) -> Iterator[tuple[str, str]]:
    """A container that has exited; the kubelet restarts it."""
    ended = get_in(container, "state", "terminated") or get_in(container, "lastState", "terminated")
    if not isinstance(ended, dict):
        return
    if ended.get("reason") == Reason.OOM_KILLED:
        limit = _memory_limit(pod, get_in(container, "name"))
        remedy = "raise spec.adapter.resources.limits.memory, or make the source keep less data in memory"
        yield Reason.OOM_KILLED, f"{name} was killed: it exceeded its memory limit of {limit}; {remedy}"
    else:
        cause = _short(crash_cause(ended.get("message"))) or str(ended.get("reason") or "no message")
        where = f"kubectl logs --previous -n {get_in(pod, 'metadata', 'namespace')} {get_in(pod, 'metadata', 'name')}"
        yield Reason.CRASH_LOOP_BACK_OFF, f"{name} exited with code {ended.get('exitCode')}: {cause}; see `{where}`"


def _memory_limit(pod: Object, container: Json) -> str:
    for spec in list_in(pod, "spec", "containers"):
        if get_in(spec, "name") == container:
            return str(get_in(spec, "resources", "limits", "memory") or "none")
    return "none"


def _short(text: Json) -> str:
    """The text on one line, shortened. Empty for a value that is not a text."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"
