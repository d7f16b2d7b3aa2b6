"""Conditions of sources as metrics: values for the Helm chart of kube-state-metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hooks.conditions import ConditionType
from sources_cli.kind import Kind


def chart_values(kinds: Sequence[Kind]) -> dict[str, Any]:
    """Its configuration for sources, and the permissions that it needs."""
    groups = sorted({kind.group for kind in kinds})
    plurals = sorted(kind.plural for kind in kinds)
    return {
        "customResourceState": {
            "enabled": True,
            "config": {
                "kind": "CustomResourceStateMetrics",
                "spec": {"resources": [_resource(kind) for kind in kinds]},
            },
        },
        "rbac": {"extraRules": [{"apiGroups": groups, "resources": plurals, "verbs": ["list", "watch"]}]},
    }


def _resource(kind: Kind) -> dict[str, Any]:
    conditions = {
        "path": ["status", "conditions"],
        "labelsFromPath": {"condition": ["type"]},
        "valueFrom": ["status"],
        "labelName": "status",
        "list": ["True", "False", "Unknown"],
    }
    types = ", ".join(ConditionType)
    return {
        "groupVersionKind": {"group": kind.group, "version": kind.version, "kind": kind.name},
        "metricNamePrefix": "kube_customresource_source",
        "commonLabels": {"kind": kind.name},
        "labelsFromPath": {"namespace": ["metadata", "namespace"], "name": ["metadata", "name"]},
        "metrics": [
            {
                "name": "condition",
                "help": f"1 for the status that a condition of a source has: {types}",
                "each": {"type": "StateSet", "stateSet": conditions},
            },
            {
                "name": "suspended",
                "help": "1 if spec.suspend of a source is true, else 0",
                "each": {"type": "Gauge", "gauge": {"path": ["spec", "suspend"], "nilIsZero": True}},
            },
        ],
    }
