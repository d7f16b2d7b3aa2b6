"""What an entry of the table of reasons contains, and the commands and pages that several entries name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """Where a fault is, on the way of an event."""

    SOURCE = "source"
    SINK = "sink"
    CONTROLLER = "controller"
    DEPLOYMENT = "deployment"
    POD = "pod"
    DELIVERY = "delivery"


@dataclass(frozen=True)
class Entry:
    """``command`` is a template with the fields of :class:`sources_cli.cluster.finding.Place`."""

    step: Step
    when: str
    todo: str
    command: str = ""
    docs: str = "docs/operate.md#reasons"
    seen: str = ""  # what the objects of the cluster show; only for a fault that is no reason of a condition
    condition: str = ""  # the condition and its status; only for a reason of a condition


DESCRIBE = "kubectl describe {resource} -n {namespace} {name}"
EDIT = "kubectl edit {resource} -n {namespace} {name}"
LOG = "kubectl logs -n {namespace} {pod} --tail=20"
POD = "kubectl describe pod -n {namespace} {pod}"
HOOK = "kubectl get pods -n {hook_namespace}"
POOLS = "kubectl get sourcepools,deployments -n {hook_namespace}"
READY_EMPTY = "docs/operate.md#ready-stays-empty"
TROUBLE = "docs/operate.md#troubleshooting"
LOGS = "docs/operate.md#log-messages-of-an-adapter"


class Fault(StrEnum):
    """Faults that no condition can name. ``sources explain`` finds them in other objects, events and logs."""

    CONTROLLER_MISSING = "ControllerMissing"
    SINK_KIND_NOT_SERVED = "SinkKindNotServed"
    METACONTROLLER_FORBIDDEN = "MetacontrollerForbidden"
    METACONTROLLER_NOT_RUNNING = "MetacontrollerNotRunning"
    HOOK_REFUSES = "HookRefuses"
    HOOK_UNAVAILABLE = "HookUnavailable"
    SYNC_TOO_LARGE = "SyncTooLarge"
    SPEC_REFUSED = "SpecRefused"
    SYNC_FAILED = "SyncFailed"
    NOT_RECONCILED = "NotReconciled"
    DEPLOYMENT_NAME_TAKEN = "DeploymentNameTaken"
    OBJECT_MISSING = "ObjectMissing"
    CHECKPOINT_NOT_USABLE = "CheckpointNotUsable"
    CHECKPOINT_STORE_DOWN = "CheckpointStoreDown"
    UPSTREAM_FAILS = "UpstreamFails"
    EVENT_LOOP_BLOCKED = "EventLoopBlocked"
    SOURCE_ENDED = "SourceEnded"
    EVENT_INVALID = "EventInvalid"
    REQUEST_FAILED = "RequestFailed"
    SINK_NOT_READY = "SinkNotReady"
    SINK_WITHOUT_ENDPOINTS = "SinkWithoutEndpoints"
    PROXY_FAILS = "ProxyFails"
    CREDENTIALS_UNUSABLE = "CredentialsUnusable"
    SINK_UNREACHABLE = "SinkUnreachable"
    SINK_REFUSES = "SinkRefuses"
    SINK_FAILS = "SinkFails"
    DEAD_LETTER_SINK_FAILS = "DeadLetterSinkFails"
    EVENTS_DEAD_LETTERED = "EventsDeadLettered"
    NOT_READY = "NotReady"
