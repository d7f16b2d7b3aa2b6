"""ServiceAccounts bound to one ClusterRole, and what the API server allows them."""

from __future__ import annotations

from tests.cluster.api import eventually
from tests.cluster.namespace import SourceNamespace

RBAC = "rbac.authorization.k8s.io/v1"
AUTHORIZATION = "authorization.k8s.io/v1"
Resource = tuple[str, str, str]  # group, resource, subresource
SECRETS: Resource = ("", "secrets", "")


def create_account(ns: SourceNamespace, role: str) -> str:
    """Create a ServiceAccount bound to this ClusterRole in the whole cluster; return its name."""
    account = f"{ns.name}-{role}"
    ns.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": ns.name}})
    ns.api.create(
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": ns.name}],
        }
    )
    ns.add_cleanup(lambda: ns.api.delete(RBAC, "clusterrolebindings", account))
    return account


def user_name(ns: SourceNamespace, account: str) -> str:
    return f"system:serviceaccount:{ns.name}:{account}"


def is_allowed(ns: SourceNamespace, account: str, verb: str, what: Resource) -> bool:
    group, resource, subresource = what
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    spec = {"user": user_name(ns, account), "resourceAttributes": {**attributes, "namespace": ns.name}}
    review = {"apiVersion": AUTHORIZATION, "kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
    return bool(ns.api.create(review)["status"]["allowed"])


def wait_until_allowed(ns: SourceNamespace, account: str, verb: str, what: Resource) -> None:
    """Wait until the API server allows it: aggregated roles and new bindings take effect after a moment."""
    eventually(lambda: is_allowed(ns, account, verb, what), bool, f"{account} may {verb} {what[1]}")
