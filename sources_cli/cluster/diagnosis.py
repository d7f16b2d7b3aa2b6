"""All findings about a source in the order of causes, and the chain of steps that was looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hooks.diagnosis.reasons import Reason
from hooks.names import get_in
from sources_cli.cluster.control import control_findings
from sources_cli.cluster.delivery import delivery_findings, last_delivered
from sources_cli.cluster.finding import UNREAD, Finding, Read, Snapshot, condition, finding, text_in
from sources_cli.cluster.reasons.entry import Fault, Step
from sources_cli.cluster.reasons.progress import PROGRESS
from sources_cli.cluster.reasons.table import rank
from sources_cli.cluster.workload import current_pods, deployment_findings, pod_findings, sink_findings

State = Literal["ok", "problem", "unknown"]
_NO_CAUSE = (Fault.NOT_READY, *PROGRESS, Reason.SINK_NOT_RESOLVED)  # say that something waits, not why
_PERHAPS = (Fault.SINK_WITHOUT_ENDPOINTS, Fault.SINK_NOT_READY)  # may be the cause: the log of the adapter tells
_MORE_PRECISE: dict[str, tuple[str, ...]] = {
    Reason.DEPLOYMENT_NOT_CREATED: (Fault.DEPLOYMENT_NAME_TAKEN, Fault.SYNC_FAILED),
    Fault.OBJECT_MISSING: ("CreateContainerConfigError",),
    Fault.EVENTS_DEAD_LETTERED: (Fault.DEAD_LETTER_SINK_FAILS,),
    Fault.SINK_UNREACHABLE: (Fault.SINK_WITHOUT_ENDPOINTS,),
    Fault.SINK_NOT_READY: (Reason.NOT_ADDRESSABLE,),
}
# What users often may not read, and need not while the controller works.
_OF_CONTROLLER = ("CompositeController", "rights of Metacontroller", "pods of Metacontroller", "endpoints of the hook")


@dataclass(frozen=True)
class Link:
    """One step of the way of an event. ``text`` says what was seen, or why nothing is known."""

    step: Step
    state: State
    text: str


@dataclass(frozen=True)
class Explanation:
    """``findings`` is empty for a healthy source. ``notes``: what could not be read."""

    chain: Sequence[Link]
    findings: Sequence[Finding]
    notes: Sequence[str]
    last_delivered: str


def explain(snapshot: Snapshot) -> Explanation:
    findings = _causes(snapshot)
    return Explanation(list(_chain(snapshot, findings)), findings, list(_notes(snapshot)), last_delivered(snapshot))


def _causes(snapshot: Snapshot) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    for rule in (control_findings, sink_findings, deployment_findings, pod_findings, delivery_findings):
        for one in rule(snapshot):
            found.setdefault((one.reason, one.message if one.step in (Step.POD, Step.SINK) else ""), one)
    suspended = any(one.reason == Reason.SUSPENDED for one in found.values())
    kept = [one for one in found.values() if not _is_explained(one, list(found.values()), suspended)]
    return sorted(kept, key=lambda one: rank(one.reason)) or list(_unexplained(snapshot))


def _unexplained(snapshot: Snapshot) -> Iterator[Finding]:
    """What ``Ready`` says, if no rule knows more: another controller or another version may have written it."""
    ready = condition(snapshot.status, "Ready")
    if ready.get("status") != "True":
        told = text_in(ready, "message") or "no condition says why"
        reason = text_in(ready, "reason") or Fault.NOT_READY
        yield finding(snapshot, reason, f"The source is not ready: {told}", ready.get("lastTransitionTime"))


def _is_explained(one: Finding, found: Sequence[Finding], suspended: bool) -> bool:
    """Whether another finding says more about the same fault."""
    reasons = {other.reason for other in found}
    if any(better in reasons for better in _MORE_PRECISE.get(one.reason, ())):
        return True
    if suspended and one.reason in (Fault.SINK_WITHOUT_ENDPOINTS, Fault.NOT_READY):
        return True
    causes = [other for other in found if other.reason not in (*_NO_CAUSE, *_PERHAPS)]
    if one.reason in _NO_CAUSE and causes:
        return True
    is_condition = one.reason in PROGRESS or one.reason == Reason.SINK_NOT_RESOLVED
    return is_condition and Fault.NOT_READY in reasons


def _chain(snapshot: Snapshot, findings: Sequence[Finding]) -> Iterator[Link]:
    bad = {one.step for one in reversed(findings)}
    seen = {
        Step.SOURCE: _source(snapshot),
        Step.SINK: _sink(snapshot),
        Step.CONTROLLER: _controller(snapshot),
        Step.DEPLOYMENT: _deployment(snapshot),
        Step.POD: _pod(snapshot),
        Step.DELIVERY: _delivery(snapshot),
    }
    for step, (state, text) in seen.items():
        yield Link(step, "problem" if step in bad else state, text)


def _source(snapshot: Snapshot) -> tuple[State, str]:
    meta = snapshot.source["metadata"]
    ready = condition(snapshot.status, "Ready").get("status") or "empty"
    return "ok", f"{snapshot.kind.kind} {meta['namespace']}/{meta['name']}, READY is {ready}"


def _sink(snapshot: Snapshot) -> tuple[State, str]:
    uri = get_in(snapshot.status, "sinkUri")
    provided = condition(snapshot.status, "SinkProvided").get("status")
    return ("ok" if provided == "True" else "unknown"), str(uri or "not resolved")


def _controller(snapshot: Snapshot) -> tuple[State, str]:
    if snapshot.controller.problem and not snapshot.is_current:
        return "unknown", snapshot.controller.problem
    if snapshot.is_current:
        return "ok", "Metacontroller and the hook have handled the present spec"
    return "unknown", "the status does not describe the present spec"


def _deployment(snapshot: Snapshot) -> tuple[State, str]:
    if snapshot.deployments.problem:
        return "unknown", snapshot.deployments.problem
    deployment = snapshot.deployment
    deployed = condition(snapshot.status, "Deployed").get("status")
    state: State = "ok" if deployed == "True" else "unknown"
    if deployment is None:
        pool = text_in(snapshot.status, "pool")
        return (state, f"none: SourcePool {pool} runs the source") if pool else ("unknown", "none exists")
    available = get_in(deployment, "status", "availableReplicas") or 0
    wanted = get_in(deployment, "spec", "replicas")
    return state, f"{deployment['metadata']['name']}, {available} of {wanted} replicas available"


def _pod(snapshot: Snapshot) -> tuple[State, str]:
    if snapshot.pods.problem:
        return "unknown", snapshot.pods.problem
    pods = current_pods(snapshot)
    if not pods:
        return "unknown", "none exists" if not text_in(snapshot.status, "pool") else "none: see the SourcePool"
    ready = [condition(pod.get("status"), "Ready").get("status") == "True" for pod in pods]
    names = ", ".join(pod["metadata"]["name"] for pod in pods[:3])
    return ("ok" if all(ready) else "unknown"), f"{names}, {sum(ready)} of {len(pods)} ready"


def _delivery(snapshot: Snapshot) -> tuple[State, str]:
    if time := last_delivered(snapshot):
        return "ok", f"the sink last accepted an event at {time}"
    reads: list[Read] = [*snapshot.metrics.values(), *snapshot.logs.values()]
    problem = next((read.problem for read in reads if read.problem), "")
    return "unknown", problem or ("no event was accepted yet" if reads else _no_adapter(snapshot))


def _no_adapter(snapshot: Snapshot) -> str:
    return "see the log and the metrics of the SourcePool" if text_in(snapshot.status, "pool") else "no adapter runs"


def _notes(snapshot: Snapshot) -> Iterator[str]:
    reads = {
        "CompositeController": snapshot.controller,
        "rights of Metacontroller": snapshot.forbidden,
        "pods of Metacontroller": snapshot.metacontroller_pods,
        "endpoints of the hook": snapshot.hook_slices,
        "Deployments": snapshot.deployments,
        "ReplicaSets": snapshot.replica_sets,
        "pods": snapshot.pods,
        "events": snapshot.events,
        "sink": snapshot.sink,
        "endpoints of the sink": snapshot.sink_slices,
        "dead letter sink": snapshot.dead_letter_sink,
        "endpoints of the dead letter sink": snapshot.dead_letter_slices,
        **snapshot.references,
        **{f"log of pod {name}": read for name, read in snapshot.logs.items()},
        **{f"readiness of pod {name}": read for name, read in snapshot.readiness.items()},
        **{f"metrics of pod {name}": read for name, read in snapshot.metrics.items()},
    }
    of_controller = (
        "CompositeController",
        "rights of Metacontroller",
        "pods of Metacontroller",
        "endpoints of the hook",
    )
    for what, read in reads.items():
        if read.problem and read != UNREAD and not (snapshot.is_current and what in of_controller):
            yield f"{what}: {read.problem}"
