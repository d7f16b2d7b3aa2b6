"""The desired Deployment of an adapter. ``rollouts`` assesses the observed one."""

from __future__ import annotations

from hashlib import sha256

from pydantic_core import to_json

from hooks.children import checkpoint
from hooks.children.inputs import Pod, Sinks
from hooks.children.names import deployment_name, pod_labels
from hooks.children.pod import pod_spec
from hooks.protocol import Object
from hooks.source import SourceSpec

TEMPLATE_HASH = "samples.knative.dev/template-hash"


def desired(source: SourceSpec, sinks: Sinks, pod: Pod) -> Object:
    selected, more = pod_labels(source.parent), source.adapter
    labels = {**selected, **more.labels}
    template: Object = {"metadata": {"labels": labels}, "spec": pod_spec(source, sinks, pod)}
    if of_pod := checkpoint.pod_annotations(source.checkpoint, more.annotations):
        template["metadata"]["annotations"] = of_pod
    annotations = {TEMPLATE_HASH: template_hash(template)}
    # So that each pod names the template that it runs.
    template["metadata"]["annotations"] = {**of_pod, **annotations}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(source),
            "namespace": source.parent.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "replicas": 0 if source.suspended else source.replicas,
            "progressDeadlineSeconds": 60,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selected},
            "strategy": checkpoint.strategy(source.checkpoint),
            "template": template,
        },
    }


def template_hash(template: Object) -> str:
    """A hash of the template. The keys are not sorted: this module builds them in a fixed order."""
    return sha256(to_json(template)).hexdigest()[:16]
