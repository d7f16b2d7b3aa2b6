"""What the adapter's own pods tell where its Deployment does not: the container's state, in a sentence. Pure.

Opt-in (``DIAGNOSE_PODS``): a rule about pods makes Metacontroller watch the pods of all namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hooks.conditions import Verdict, find
from hooks.deployments import TEMPLATE_HASH, pod_labels
from hooks.names import get_in
from hooks.protocol import Object, Objects, Parent, RelatedRule

_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_TEXT_LIMIT = 600


def related_rule(parent: Parent) -> RelatedRule:
    return {
        "apiVersion": "v1",
        "resource": "pods",
        "namespace": parent.metadata.namespace,
        "labelSelector": {"matchLabels": pod_labels(parent)},
    }


def with_pod_diagnosis(verdict: Verdict, wanted: Object | None, related: Objects) -> Verdict:
    """The verdict, or the reason a pod of the wanted template gives why it does not run."""
    if wanted is None or verdict.status == "True":
        return verdict
    own = [(name, pod) for name, pod in sorted(related.get("Pod.v1", {}).items()) if _is_of(pod, wanted)]
    for name, pod in own:
        for reason, message in _failures(pod, f"Pod {name}"):
            return Verdict("Deployed", "False", reason, message)
    if verdict.status == "False":  # one that merely starts is not ready either
        for name, pod in own:
            for message in _unready(pod, f"Pod {name}"):
                return Verdict("Deployed", "False", verdict.reason, message)
    return verdict


def _is_of(pod: Object, deployment: Object) -> bool:
    """Whether the pod runs the wanted template; one of an older template explains nothing."""
    path = ("metadata", "annotations", TEMPLATE_HASH)
    dying = get_in(pod, "metadata", "deletionTimestamp")
    return not dying and get_in(pod, *path) == get_in(deployment, *path)


def _failures(pod: Object, name: str) -> Iterator[tuple[str, str]]:
    scheduled = find(get_in(pod, "status"), "PodScheduled") or {}
    if scheduled.get("status") == "False":
        message = _short(scheduled.get("message")).rstrip(".") or "no node takes it"
        yield "Unschedulable", f"{name} cannot be scheduled: {message}; add a node it fits on, or make room on one"
    statuses = get_in(pod, "status", "containerStatuses")
    for container in statuses if isinstance(statuses, list) else []:
        if not get_in(container, "ready"):
            yield from _waiting(container, pod, name)
            yield from _ended(container, pod, name)
    if get_in(pod, "status", "phase") == "Failed":
        reason, message = get_in(pod, "status", "reason"), _short(get_in(pod, "status", "message"))
        yield str(reason or "PodFailed"), f"{name} failed: {message or 'see its events'}"


def _unready(pod: Object, name: str) -> Iterator[str]:
    """What its readiness answers, no kubelet passes on; the adapter's log has the same."""
    statuses = get_in(pod, "status", "containerStatuses")
    for container in statuses if isinstance(statuses, list) else []:
        if isinstance(get_in(container, "state", "running"), dict) and not get_in(container, "ready"):
            where = f"kubectl logs -n {get_in(pod, 'metadata', 'namespace')} {get_in(pod, 'metadata', 'name')}"
            yield f"{name} runs but is not ready; its log says why: `{where}`"


def _waiting(container: Any, pod: Object, name: str) -> Iterator[tuple[str, str]]:
    reason, message = (str(get_in(container, "state", "waiting", key) or "") for key in ("reason", "message"))
    if reason in _PULL:
        # Kubernetes alternates between two reasons; the status should not.
        cause = _short(message.rpartition(": ErrImagePull: ")[2]) or reason
        steady = "ImagePullBackOff" if reason == "ErrImagePull" else reason
        image = get_in(container, "image")
        yield steady, f'{name} cannot pull image "{image}": {cause}; correct the image\'s name, or push it'
    elif reason in _CREATE:
        namespace = get_in(pod, "metadata", "namespace")
        yield reason, f"{name} cannot start: {_short(message) or reason}; create what it needs in namespace {namespace}"


def _ended(container: Any, pod: Object, name: str) -> Iterator[tuple[str, str]]:
    """A container that ended and is, or will be, started again."""
    ended = get_in(container, "state", "terminated") or get_in(container, "lastState", "terminated")
    if not isinstance(ended, dict):
        return
    if ended.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, get_in(container, "name"))
        text = f"{name} was killed: it needs more memory than its limit of {limit}; have the source hold less at a time"
        yield "OOMKilled", text
    else:
        said = _last_line(ended.get("message")) or str(ended.get("reason") or "no message")
        where = f"kubectl logs --previous -n {get_in(pod, 'metadata', 'namespace')} {get_in(pod, 'metadata', 'name')}"
        yield "CrashLoopBackOff", f"{name} exited with code {ended.get('exitCode')}: {said}; see `{where}`"


def _memory_limit(pod: Object, container: Any) -> str:
    listed = get_in(pod, "spec", "containers")
    for it in listed if isinstance(listed, list) else []:
        if get_in(it, "name") == container:
            return str(get_in(it, "resources", "limits", "memory") or "none")
    return "none"


def _last_line(text: Any) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] if isinstance(text, str) else []
    return _short(lines[-1]) if lines else ""


def _short(text: Any) -> str:
    """One line; empty for what is no text."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"
