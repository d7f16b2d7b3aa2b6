"""The NetworkPolicy of the hook. That of adapters is a sample: ``samples/network-policy.yaml``.

The kubelet needs no rule: a NetworkPolicy never restricts the traffic between a pod and its own node.
"""

from __future__ import annotations

from hooks.pool.children import LABEL, POOL_PORT
from metacontroller.generate.tree import If, Tree, Value

NAMESPACE_NAME = "kubernetes.io/metadata.name"  # a label that the API server sets on each namespace


def trees(selector: Tree, metadata: Tree) -> list[Tree]:
    """``selector``: the labels of the hook's pods. ``metadata``: of the policy."""
    metacontroller = {
        "namespaceSelector": namespace_labels("metacontroller.namespace"),
        "podSelector": {"matchLabels": Value("networkPolicy.metacontrollerLabels")},
    }
    monitoring = {"namespaceSelector": namespace_labels("networkPolicy.monitoringNamespace")}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [_rule(metacontroller, "hook"), _rule(monitoring, "health")],
            # Without pools, the hook makes no requests, not even for DNS.
            "egress": If("pool.enabled", _to_pools(), []),
        },
    }
    return [If("networkPolicy.enabled", policy)]


def namespace_labels(path: str) -> Tree:
    return {"matchLabels": {NAMESPACE_NAME: Value(path)}}


def _rule(peer: Tree, port: str) -> Tree:
    """``port``: the name of a port of the container."""
    return {"from": [peer], "ports": [{"protocol": "TCP", "port": port}]}


def _to_pools() -> list[Tree]:
    """The hook asks pools, in its own namespace, and looks up their names."""
    pods = {"podSelector": {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}}
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return [{"to": [pods], "ports": [{"protocol": "TCP", "port": POOL_PORT}]}, {"ports": dns}]
