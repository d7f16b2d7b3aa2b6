"""ServiceAccounts bound to one ClusterRole, and what the API server allows them."""

from __future__ import annotations

from tests.cluster.api import eventually
from tests.cluster.world import Home

RBAC = "rbac.authorization.k8s.io/v1"
AUTHORIZATION = "authorization.k8s.io/v1"
What = tuple[str, str, str]  # group, resource, subresource
SECRETS: What = ("", "secrets", "")


def bound(home: Home, role: str) -> str:
    """Create a ServiceAccount bound to this ClusterRole in the whole cluster; return its name."""
    account = f"{home.namespace}-{role}"
    home.api.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": home.namespace}}
    )
    home.api.create(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home.namespace}],
        }
    )
    home.afterwards(lambda: home.api.delete(RBAC, "clusterrolebindings", account))
    return account


def user(home: Home, account: str) -> str:
    return f"system:serviceaccount:{home.namespace}:{account}"


def may(home: Home, account: str, verb: str, what: What) -> bool:
    group, resource, subresource = what
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    spec = {"user": user(home, account), "resourceAttributes": {**attributes, "namespace": home.namespace}}
    review = {"apiVersion": AUTHORIZATION, "kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
    return bool(home.api.create(review)["status"]["allowed"])


def may_at_last(home: Home, account: str, verb: str, what: What) -> None:
    """Wait until the API server allows it: aggregated roles and new bindings take effect after a moment."""
    eventually(lambda: may(home, account, verb, what), bool, f"{account} may {verb} {what[1]}")
