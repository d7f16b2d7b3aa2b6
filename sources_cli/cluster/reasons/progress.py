"""Reasons that say that the adapter is not available, but not why. So they come last."""

from __future__ import annotations

from hooks.diagnosis.reasons import Reason
from sources_cli.cluster.reasons.entry import LOG, Entry, Step

PROGRESS: dict[str, Entry] = {
    "ProgressDeadlineExceeded": Entry(
        Step.DEPLOYMENT,
        "the adapter does not become ready: crash, missing image, a sink or an upstream that is down",
        "Look at its log, or enable [`DIAGNOSE_PODS`](#conditions-that-explain-pods).",
        LOG,
        condition="Deployed False",
    ),
    Reason.DEPLOYMENT_UNAVAILABLE: Entry(
        Step.DEPLOYMENT,
        "rolled out before, not available now: the sink [accepts nothing](delivery.md#a-sink-that-accepts-nothing), an "
        "upstream is down, or the pod does not run. With a checkpoint on a volume, also an old pod that does not end, "
        "for example because its node is down",
        "Look at the log of the adapter.",
        "kubectl logs -n {namespace} deployment/{deployment} --tail=20",
        condition="Deployed False",
    ),
    Reason.ADAPTER_STARTING: Entry(
        Step.DEPLOYMENT,
        "the first rollout is in progress; with a [checkpoint on a volume](checkpoints.md#a-volume), also each other "
        "rollout: the old pod ends before the new one starts",
        "Wait. After a minute, the reason changes.",
        "kubectl get pods -n {namespace} -l {selector}",
        condition="Deployed Unknown",
    ),
    Reason.ADAPTER_UPDATING: Entry(
        Step.DEPLOYMENT,
        "a newer version rolls out",
        "Wait. After a minute, the reason changes.",
        "kubectl get pods -n {namespace} -l {selector}",
        condition="Deployed Unknown",
    ),
}
