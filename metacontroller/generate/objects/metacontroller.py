"""Metacontroller: the role that it needs for all kinds, and Metacontroller itself for clusters that have none.

Nothing here is copied from the manifests of Metacontroller. Its CRDs are not part of this project.
"""

from __future__ import annotations

from metacontroller.generate.objects.account import role_and_binding
from metacontroller.generate.objects.security import (
    RESTRICTED_CONTAINER,
    RESTRICTED_NAMESPACE,
    RESTRICTED_POD,
    spread_over_nodes,
)
from metacontroller.generate.tree import If, Leaf, Tree, Value

NAME = "metacontroller"
LABELS = {"app.kubernetes.io/name": NAME}
HEALTH_PORT = 8081  # --health-probe-bind-address
LEASE = "metacontroller"  # --leader-election-id
_ELECTION = "metacontroller.leaderElection"
_ELECTION_FLAG = "--leader-election"
_FLAGS = Leaf(
    f'(ternary (append $.Values.metacontroller.flags "{_ELECTION_FLAG}") $.Values.metacontroller.flags '
    f"$.Values.{_ELECTION})",
    lambda values: [
        *values["metacontroller"]["flags"],
        *([_ELECTION_FLAG] if values["metacontroller"]["leaderElection"] else []),
    ],
)


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
    return [*role_and_binding("ClusterRole", {"name": "sources-metacontroller"}, rules), *_election_role()]


def _election_role() -> list[Tree]:
    """In the namespace of Metacontroller. RBAC cannot restrict ``create`` to a name."""
    metadata = {"name": "sources-metacontroller-election", "namespace": Value("metacontroller.namespace")}
    leases = _rule("coordination.k8s.io", ["leases"], ["create"])
    lease = {**_rule("coordination.k8s.io", ["leases"], ["get", "update"]), "resourceNames": [LEASE]}
    return [If(_ELECTION, document) for document in role_and_binding("Role", metadata, [leases, lease])]


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
    """Without leader election, a second process would send the same requests. An update starts none: no surge."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": Value("metacontroller.namespace"), "labels": LABELS},
        "spec": {
            "replicas": If(_ELECTION, 2, 1),
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
        "topologySpreadConstraints": If(_ELECTION, [spread_over_nodes(LABELS)]),
        "containers": [
            {
                "name": NAME,
                "image": Value("metacontroller.image"),
                "command": ["/usr/bin/metacontroller"],
                "args": _FLAGS,
                "ports": [{"name": "health", "containerPort": HEALTH_PORT}],
                "readinessProbe": {"httpGet": {"path": "/readyz", **health}, "periodSeconds": 2},
                "livenessProbe": {"httpGet": {"path": "/healthz", **health}, "initialDelaySeconds": 10},
                "resources": Value("metacontroller.resources"),
                "securityContext": RESTRICTED_CONTAINER,
            }
        ],
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> Tree:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
