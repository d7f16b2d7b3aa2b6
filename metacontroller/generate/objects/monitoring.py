"""What the Prometheus Operator reads: monitors of the adapters and of the hook, and the alerts.

The alerts are those of ``metacontroller/monitoring/alerts.yaml``, which promtool tests. ``scrape.yaml`` beside it has
the same jobs for a Prometheus without the Operator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metacontroller.generate.objects import hook
from metacontroller.generate.tree import NAMESPACE, If, Tree, Value
from sources_cli.admission import yaml

ALERTS = Path(__file__).parents[2] / "monitoring/alerts.yaml"
ADAPTERS = "sources-adapters"  # the job of the adapters; that of the hook has the name of its Service


def trees() -> list[Tree]:
    return [If("monitoring.enabled", tree) for tree in (_adapters(), _hook(), _alerts())]


def _adapters() -> Tree:
    """The adapters of all namespaces. Their series keep the labels of the source: namespace, kind and name."""
    name_label = {"sourceLabels": ["__meta_kubernetes_pod_label_knative_eventing_source_name"], "targetLabel": "name"}
    endpoint = {
        "port": "health",
        "honorLabels": True,
        "relabelings": [{"targetLabel": "job", "replacement": ADAPTERS}, name_label],
    }
    spec = {
        "namespaceSelector": {"any": True},
        "selector": {"matchExpressions": [{"key": "knative-eventing-source", "operator": "Exists"}]},
        "podMetricsEndpoints": [endpoint],
    }
    return _object("PodMonitor", ADAPTERS, spec)


def _hook() -> Tree:
    return _object(
        "ServiceMonitor", hook.NAME, {"selector": {"matchLabels": hook.SELECTOR}, "endpoints": [{"port": "health"}]}
    )


def _alerts() -> Tree:
    [rules] = yaml.load(ALERTS.read_text(encoding="utf-8"))
    return _object("PrometheusRule", "sources", rules.value)


def _object(kind: str, name: str, spec: Any) -> Tree:
    labels = If("monitoring.labels", Value("monitoring.labels"))
    metadata = {"name": name, "namespace": Value(NAMESPACE), "labels": labels}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": metadata, "spec": spec}
