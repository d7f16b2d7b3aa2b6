"""What the Prometheus Operator reads: monitors of the adapters, of pools and of the hook, and the alerts.

The alerts are those of ``metacontroller/monitoring/alerts.yaml``, which promtool tests. ``scrape.yaml`` beside it has
the same jobs for a Prometheus without the Operator.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hooks.pool.children import LABEL as POOL_LABEL
from metacontroller.generate.objects import hook
from metacontroller.generate.tree import NAMESPACE, If, Tree, Value
from sources_cli.admission import yaml

ALERTS = Path(__file__).parents[2] / "monitoring/alerts.yaml"
ADAPTERS = "sources-adapters"  # the job of adapters and pools; that of the hook has the name of its Service
ADAPTER_LABEL, ADAPTER_NAME = "knative-eventing-source", "knative-eventing-source-name"


def trees() -> list[Tree]:
    adapters, pools = _pods(ADAPTERS, ADAPTER_LABEL, ADAPTER_NAME), _pods("sources-pools", POOL_LABEL, POOL_LABEL)
    return [If("monitoring.enabled", tree) for tree in (adapters, pools, _hook(), _alerts())]


def _pods(name: str, label: str, name_label: str) -> Tree:
    """The pods with ``label`` in all namespaces. ``name_label`` has the name of their source, or of their SourcePool.

    Their series keep their labels namespace, kind and name.
    """
    source_label = f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', name_label)}"
    endpoint = {
        "port": "health",
        "honorLabels": True,
        "relabelings": [
            {"targetLabel": "job", "replacement": ADAPTERS},
            {"sourceLabels": [source_label], "targetLabel": "name"},
        ],
    }
    spec = {
        "namespaceSelector": {"any": True},
        "selector": {"matchExpressions": [{"key": label, "operator": "Exists"}]},
        "podMetricsEndpoints": [endpoint],
    }
    return _object("PodMonitor", name, spec)


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
