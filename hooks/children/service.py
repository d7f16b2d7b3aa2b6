"""The Service of a source that listens."""

from __future__ import annotations

from adapter.contract.environment import TRAFFIC_PORT
from hooks.children.names import pod_labels, service_name
from hooks.protocol import Object
from hooks.source import SourceSpec


def service(source: SourceSpec) -> Object:
    """The Service that receives the requests to a source that listens."""
    labels = pod_labels(source.parent)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(source),
            "namespace": source.parent.metadata.namespace,
            "labels": labels,
        },
        "spec": {
            "selector": labels,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": TRAFFIC_PORT}],
        },
    }
