"""Metacontroller: the role that it needs for all kinds, and Metacontroller itself for clusters that have none.

Nothing here is copied from the manifests of Metacontroller. Its CRDs are not part of this project.
"""

from __future__ import annotations

from metacontroller.generate.objects.account import role_and_binding
from metacontroller.generate.objects.security import RESTRICTED_CONTAINER, RESTRICTED_NAMESPACE, RESTRICTED_POD
from metacontroller.generate.tree import If, Tree, Value

NAME = "metacontroller"
LABELS = {"app.kubernetes.io/name": NAME}
HEALTH_PORT = 8081  # --health-probe-bind-address


def roles() -> list[Tree]:
    """With these, Metacontroller does not need the cluster-wide ``*`` of its own manifests. Each kind adds a role."""
    rules = [
        _rule(
            "metacontroller.k8s.io",
            ["compositecontrollers", "controllerrevisions", "decoratorcontrollers"],
            ["list", "watch"],
        ),
        _rule("apiextensions.k8s.io", ["customresourcedefinitions"], ["list", "watch"]),
        _rule("", ["namespaces"], ["list", "watch"]),
        _rule("", ["events"], ["create", "patch"]),
    ]
    return role_and_binding("ClusterRole", {"name": "sources-metacontroller"}, rules)


def trees() -> list[Tree]:
    """Metacontroller itself, without roles."""
    namespace = {"name": Value("metacontroller.namespace"), "labels": RESTRICTED_NAMESPACE}
    account = {"name": Value("metacontroller.serviceAccount"), "namespace": Value("metacontroller.namespace")}
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        _deployment(),
    ]
    return [If("metacontroller.install", document) for document in documents]


def _deployment() -> Tree:
    """One process: a second one would send the same requests. Without a surge, an update does not start it either."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": Value("metacontroller.namespace"), "labels": LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": LABELS}, "spec": _pod()},
        },
    }


def _pod() -> Tree:
    health = {"port": "health"}
    return {
        "serviceAccountName": Value("metacontroller.serviceAccount"),
        "enableServiceLinks": False,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 65532},
        "containers": [
            {
                "name": NAME,
                "image": Value("metacontroller.image"),
                "command": ["/usr/bin/metacontroller"],
                "args": Value("metacontroller.flags"),
                "ports": [{"name": "health", "containerPort": HEALTH_PORT}],
                "readinessProbe": {"httpGet": {"path": "/readyz", **health}, "periodSeconds": 2},
                "livenessProbe": {"httpGet": {"path": "/healthz", **health}, "initialDelaySeconds": 10},
                "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
                "securityContext": RESTRICTED_CONTAINER,
            }
        ],
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> Tree:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
