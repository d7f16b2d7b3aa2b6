"""The reasons of the conditions. ``sources_cli.cluster.reasons`` says what each one means and what to do."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The reasons that the hook sets. ``Deployed`` can also repeat a reason of the Deployment or of a pod."""

    # SinkProvided and DeadLetterSinkResolved
    SINK_MISSING = "SinkMissing"
    INVALID_SINK = "InvalidSink"
    SINK_KIND_NOT_ALLOWED = "SinkKindNotAllowed"
    SINK_NAMESPACE_NOT_ALLOWED = "SinkNamespaceNotAllowed"
    NOT_FOUND = "NotFound"
    NOT_ADDRESSABLE = "NotAddressable"
    ADDRESS_NOT_FOUND = "AddressNotFound"
    ADDRESS_INVALID = "AddressInvalid"
    # Deployed
    SUSPENDED = "Suspended"
    SINK_NOT_RESOLVED = "SinkNotResolved"
    ADAPTER_STARTING = "AdapterStarting"
    ADAPTER_UPDATING = "AdapterUpdating"
    DEPLOYMENT_UNAVAILABLE = "DeploymentUnavailable"
    DEPLOYMENT_NOT_CREATED = "DeploymentNotCreated"
    # Deployed, of a source in a SourcePool
    ADAPTER_REFUSED = "AdapterRefused"
    POOL_NOT_ANSWERING = "PoolNotAnswering"
    # Deployed, with DIAGNOSE_PODS
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    POD_FAILED = "PodFailed"
    # Ready
    INVALID_SPEC = "InvalidSpec"
