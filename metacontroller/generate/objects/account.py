"""The ServiceAccount of Metacontroller, and roles that are bound to it."""

from __future__ import annotations

from metacontroller.generate.tree import Tree, Value

_RBAC = "rbac.authorization.k8s.io"


def account() -> Tree:
    """The subject of a binding."""
    name, namespace = Value("metacontroller.serviceAccount"), Value("metacontroller.namespace")
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def role_and_binding(kind: str, metadata: Tree, rules: list[Tree]) -> list[Tree]:
    """``kind``: ``Role`` or ``ClusterRole``."""
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]},
            "subjects": [account()],
        },
    ]
