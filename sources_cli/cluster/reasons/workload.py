"""Reasons of the Deployment and its pods, in the order of causes."""

from __future__ import annotations

from hooks.diagnosis.reasons import Reason
from sources_cli.cluster.reasons.entry import DESCRIBE, POD, POOLS, TROUBLE, Entry, Fault, Step

_UNKNOWN, _FALSE, _DIAGNOSED = "Deployed Unknown", "Deployed False", "Deployed False, only with `DIAGNOSE_PODS`"

WORKLOAD: dict[str, Entry] = {
    Reason.SINK_NOT_RESOLVED: Entry(
        Step.DEPLOYMENT,
        "no adapter is wanted until the sink is resolved",
        "Correct the sink first.",
        DESCRIBE,
        condition=_UNKNOWN,
    ),
    Fault.DEPLOYMENT_NAME_TAKEN: Entry(
        Step.DEPLOYMENT,
        "Another Deployment has the name that the adapter needs.",
        "Delete that Deployment, or recreate the source under another name.",
        "kubectl get deployment -n {namespace} {deployment} -o yaml",
        TROUBLE,
        "`DeploymentNotCreated` without a `SyncError` event",
    ),
    Reason.DEPLOYMENT_NOT_CREATED: Entry(
        Step.DEPLOYMENT,
        "wanted, but absent for 15 s. The `SyncError` event of the source gives the cause. Without such an event, "
        "another Deployment has the name. Retried every 30 s.",
        "Remove the cause that the event names.",
        DESCRIBE,
        condition=_FALSE,
    ),
    "FailedCreate": Entry(
        Step.DEPLOYMENT,
        "Kubernetes cannot create the pods: a quota, a LimitRange, PodSecurity, a missing ServiceAccount",
        "Remove the cause that the message names.",
        "kubectl describe replicasets -n {namespace} -l {selector}",
        condition=_FALSE,
    ),
    "ReplicaSetCreateError": Entry(
        Step.DEPLOYMENT,
        "Kubernetes cannot create the ReplicaSet",
        "Remove the cause that the message names.",
        "kubectl describe deployment -n {namespace} {deployment}",
        condition=_FALSE,
    ),
    Reason.UNSCHEDULABLE: Entry(
        Step.POD,
        "no node fits the pod, or a PersistentVolumeClaim is not bound",
        "Add a node that fits, or change `spec.adapter`.",
        POD,
        condition=_DIAGNOSED,
    ),
    Reason.IMAGE_PULL_BACK_OFF: Entry(
        Step.POD,
        "the image cannot be pulled",
        "Correct the name of the image, push it, or set `spec.adapter.imagePullSecrets`.",
        POD,
        condition=_DIAGNOSED,
    ),
    "InvalidImageName": Entry(Step.POD, "the name of the image is malformed", "Correct it.", POD, condition=_DIAGNOSED),
    "ErrImageNeverPull": Entry(
        Step.POD,
        "`imagePullPolicy` forbids to pull the image, and the node does not have it",
        "Load the image on the node, or change the policy.",
        POD,
        condition=_DIAGNOSED,
    ),
    "ImageInspectError": Entry(
        Step.POD, "the node cannot read the image", "Push the image again.", POD, condition=_DIAGNOSED
    ),
    "CreateContainerConfigError": Entry(
        Step.POD,
        "a Secret or ConfigMap, or a key of it, does not exist",
        "Create the object or the key that the message names.",
        POD,
        condition=_DIAGNOSED,
    ),
    "CreateContainerError": Entry(
        Step.POD, "the node cannot create the container", "Check the image.", POD, condition=_DIAGNOSED
    ),
    "RunContainerError": Entry(
        Step.POD, "the node cannot start the container", "Check the image.", POD, condition=_DIAGNOSED
    ),
    Fault.OBJECT_MISSING: Entry(
        Step.POD,
        "A Secret, ConfigMap or PersistentVolumeClaim that the pod needs does not exist.",
        "Create it, or correct the reference in `spec`.",
        "kubectl get {missing_resource} -n {namespace}",
        TROUBLE,
        "the pod waits for its files, or is not created",
    ),
    Reason.OOM_KILLED: Entry(
        Step.POD,
        "the adapter exceeded its memory limit",
        "Raise `spec.adapter.resources.limits.memory`, or make the source keep less data in memory.",
        POD,
        condition=_DIAGNOSED,
    ),
    Reason.CRASH_LOOP_BACK_OFF: Entry(
        Step.POD,
        "the adapter exits; the message has its last line",
        "Correct what the line names.",
        "kubectl logs -n {namespace} {pod} --previous --tail=20",
        condition=_DIAGNOSED,
    ),
    "Evicted": Entry(
        Step.POD, "the node ran out of memory or disk", "Free resources of the node.", POD, condition=_DIAGNOSED
    ),
    Reason.POD_FAILED: Entry(
        Step.POD, "the pod failed for another reason", "Look at its events.", POD, condition=_DIAGNOSED
    ),
    Reason.POOL_NOT_ANSWERING: Entry(
        Step.DEPLOYMENT,
        "the [SourcePool](pool.md) of the kind has not answered the hook for 10 s, or not since the source changed. "
        "Asked again every 5 s",
        "Look at the SourcePool and its Deployment.",
        POOLS,
        "docs/pool.md",
        condition=_UNKNOWN,
    ),
    Reason.ADAPTER_REFUSED: Entry(
        Step.DEPLOYMENT,
        "the [SourcePool](pool.md) of the kind does not run the source, or the source has a problem in it: an invalid "
        "value, a tick that fails, a sink that has accepted nothing for 30 s. Asked again every 30 s",
        "Remove the cause that the message names.",
        DESCRIBE,
        "docs/pool.md",
        condition=_FALSE,
    ),
}
