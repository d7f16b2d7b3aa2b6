"""What Metacontroller needs for all kinds: its role."""

from __future__ import annotations

from metacontroller.generate.kinds import account
from metacontroller.generate.tree import Tree

ROLE = "sources-metacontroller"
_RBAC = "rbac.authorization.k8s.io"


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
    metadata = {"name": ROLE}
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": ROLE},
            "subjects": [account()],
        },
    ]


def _rule(group: str, resources: list[str], verbs: list[str]) -> Tree:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
