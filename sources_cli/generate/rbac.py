"""RBAC for a kind: roles for users, for Knative's discovery and for Metacontroller. Hook and adapters need no role.

The verbs for Metacontroller come from an audit log of its requests, with dynamic apply (``update``) and with
server-side apply (``patch``). The permissions that do not depend on a kind are in ``metacontroller/base``.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapter.contract.formats import Json
from adapter.contract.kind_names import plural
from sources_cli.kind import Kind

POOL_KINDS = ("samples.knative.dev/v1alpha1/SourcePool", "samples.knative.dev/v1alpha1/TroubledSource")
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def rbac(
    kind: Kind, sink_kinds: Sequence[str], metacontroller: str, *, diagnose_pods: bool = False, pool: bool = False
) -> list[Json]:
    """``metacontroller``: <namespace>/<ServiceAccount>. ``pool``: a SourcePool runs the sources."""
    related = [*sink_kinds, *(["v1/Pod"] if diagnose_pods else []), *(POOL_KINDS if pool else [])]
    own = [kind.plural]
    return [
        _role(kind, "observer", [_rule(kind.group, own, READ)], {"duck.knative.dev/source": "true"}),
        _role(kind, "view", [_rule(kind.group, [*own, f"{own[0]}/status"], READ)], {f"{_AGGREGATE}view": "true"}),
        _role(
            kind,
            "edit",
            [_rule(kind.group, own, WRITE)],
            {f"{_AGGREGATE}edit": "true", f"{_AGGREGATE}admin": "true"},
        ),
        _role(kind, "metacontroller", [*_parent(kind), *_children(kind, pool), *_related(related)], {}),
        _binding(kind, "metacontroller", metacontroller),
    ]


def _parent(kind: Kind) -> list[Json]:
    # The admission plugin OwnerReferencesPermissionEnforcement requires "update" on finalizers to set
    # blockOwnerDeletion in children.
    subresources = [f"{kind.plural}/finalizers", f"{kind.plural}/status"]
    return [_rule(kind.group, [kind.plural], READ), _rule(kind.group, subresources, ["update"])]


def _children(kind: Kind, pool: bool) -> list[Json]:
    """Without ``delete``: the hook never omits a running adapter, and a bug in the hook must not stop adapters.

    Except with ``pool``: a Deployment ends when the pool runs its source.
    """
    verbs = ["create", "list", "patch", "update", "watch"]
    of_deployments = [*verbs, *(["delete"] if pool else [])]
    listens = [_rule("", ["services"], verbs)] if kind.listens else []
    return [_rule("apps", ["deployments"], of_deployments), *listens]


def _related(kinds: Sequence[str]) -> list[Json]:
    """One rule for each kind, ``<apiVersion>/<Kind>``, in this order: the chart makes the same rules."""
    split = [kind.rpartition("/")[::2] for kind in kinds]
    return [_rule(version.rpartition("/")[0], [plural(kind)], ["list", "watch"]) for version, kind in split]


def _rule(group: str, resources: list[str], verbs: list[str]) -> Json:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _role(kind: Kind, purpose: str, rules: list[Json], labels: dict[str, str]) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": _name(kind, purpose), **({"labels": labels} if labels else {})},
        "rules": rules,
    }


def _binding(kind: Kind, purpose: str, account: str) -> Json:
    namespace, _, name = account.partition("/")
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _name(kind, purpose)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _name(kind, purpose)},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def _name(kind: Kind, purpose: str) -> str:
    return f"{kind.plural}.{kind.group}-{purpose}"
