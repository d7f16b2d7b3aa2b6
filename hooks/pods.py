"""Why a pod of the adapter does not run. The status of the pod contains this, that of the Deployment does not. Pure.

Optional (``DIAGNOSE_PODS``): a rule about pods makes Metacontroller watch the pods of all namespaces.
"""

from __future__ import annotations

from hooks.children.deployment import TEMPLATE_HASH
from hooks.children.names import pod_labels
from hooks.conditions import ConditionState, ConditionType
from hooks.diagnosis.pods import failures, unready
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in
from hooks.protocol import Object, Objects, Parent, RelatedRule


def related_rule(parent: Parent) -> RelatedRule:
    return {
        "apiVersion": "v1",
        "resource": "pods",
        "namespace": parent.metadata.namespace,
        "labelSelector": {"matchLabels": pod_labels(parent)},
    }


def with_pod_diagnosis(deployed: ConditionState, wanted: Object | None, related: Objects) -> ConditionState:
    """``deployed``, with the reason and message of a failed pod of the wanted template if there is one."""
    if wanted is None or deployed.status == "True" or deployed.reason == Reason.SUSPENDED:
        return deployed
    pods = [(name, pod) for name, pod in sorted(related.get("Pod.v1", {}).items()) if _is_current(pod, wanted)]
    for name, pod in pods:
        for reason, message in failures(pod, f"Pod {name}"):
            return ConditionState(ConditionType.DEPLOYED, "False", reason, message)
    if deployed.status == "False":  # a pod that is still starting is not ready either
        for name, pod in pods:
            for message in unready(pod, f"Pod {name}"):
                return ConditionState(ConditionType.DEPLOYED, "False", deployed.reason, message)
    return deployed


def _is_current(pod: Object, deployment: Object) -> bool:
    """Whether the pod runs the template of ``deployment`` and is not being deleted."""
    path = ("metadata", "annotations", TEMPLATE_HASH)
    deleted = get_in(pod, "metadata", "deletionTimestamp")
    return not deleted and get_in(pod, *path) == get_in(deployment, *path)
