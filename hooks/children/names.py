"""Names and labels of the children: those of Knative (``receive_adapter.go``), so existing Deployments are adopted."""

from __future__ import annotations

from adapter.contract.kind_names import controller_label
from hooks.names import child_name
from hooks.protocol import Parent
from hooks.source import SourceSpec


def deployment_name(source: SourceSpec) -> str:
    meta = source.parent.metadata
    return child_name(f"{source.parent.kind.lower()}-{meta.name}-", meta.uid)


def service_name(source: SourceSpec) -> str:
    """The name of a Service is one DNS label, so it cannot contain the dots that the name of a source may have."""
    return deployment_name(source).replace(".", "-")


def pod_labels(parent: Parent) -> dict[str, str]:
    return {
        "knative-eventing-source": controller_label(parent.kind),
        "knative-eventing-source-name": child_name(parent.metadata.name, ""),
    }
