"""SourcePools: their CRDs, the CompositeController, roles and a NetworkPolicy. Users create the SourcePool itself."""

from __future__ import annotations

from adapter.contract.environment import HEALTH_PORT
from hooks.pool.children import LABEL, POOL_PORT, TOKEN_SECRET
from metacontroller.generate.objects import tls
from metacontroller.generate.objects.account import role_and_binding
from metacontroller.generate.objects.network import namespace_labels
from metacontroller.generate.tree import NAMESPACE, If, Leaf, Tree, Value, has
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import READ
from sources_cli.kind import Kind
from sources_cli.manifests import pool_problem
from sources_cli.manifests import webhook as webhook_of
from sources_cli.schema.pool_crds import GROUP, VERSION, pool_crds

NAME = f"sourcepools.{GROUP}"
RESYNC_S = 30  # with the 30 s until a sink is a problem, Ready shows it within 60 s
MAX_BODY_BYTES = 24 * 1024 * 1024  # 14,000 sources
_TOKEN_DIRECTORY = "/etc/sources-pool"
_TOKEN = Leaf(
    "(and $.Values.pool.enabled $.Values.pool.token)",
    lambda values: values["pool"]["enabled"] and values["pool"]["token"],
)


def joined(kind: Kind) -> Leaf | None:
    """The condition under which a pool runs the sources of a kind. None: none can."""
    return None if pool_problem(kind) else has("pool.kinds", kind.name)


def crds() -> list[Tree]:
    return [If("pool.enabled", crd) for crd in pool_crds()]


def trees(labels: Tree, selector: Tree) -> list[Tree]:
    """``labels``, ``selector``: of the hook."""
    rules = [
        _rule(GROUP, ["sourcepools"], READ),
        _rule(GROUP, ["sourcepools/finalizers", "sourcepools/status"], ["update"]),
        _rule(GROUP, ["troubledsources"], ["create", "delete", "list", "patch", "update", "watch"]),
        _rule("apps", ["deployments"], ["create", "list", "patch", "update", "watch"]),
        _rule("", ["services"], ["create", "list", "patch", "update", "watch"]),
    ]
    role = role_and_binding("ClusterRole", {"name": f"{NAME}-metacontroller"}, rules)
    objects = [If("pool.enabled", each) for each in (_controller(), *role)]
    return [*objects, If(_POLICY, _network_policy(labels, selector))]


_POLICY = Leaf(
    "(and $.Values.pool.enabled $.Values.networkPolicy.enabled)",
    lambda values: values["pool"]["enabled"] and values["networkPolicy"]["enabled"],
)


def _controller() -> Tree:
    children = [("apps/v1", "deployments"), ("v1", "services"), (f"{GROUP}/{VERSION}", "troubledsources")]
    listed = [
        {"apiVersion": version, "resource": resource, "updateStrategy": {"method": "InPlace"}}
        for version, resource in children
    ]
    return {
        "apiVersion": "metacontroller.k8s.io/v1alpha1",
        "kind": "CompositeController",
        "metadata": {"name": NAME},
        "spec": {
            "parentResource": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "resource": "sourcepools",
                "ignoreStatusChanges": True,
            },
            "childResources": listed,
            "generateSelector": True,
            "resyncPeriodSeconds": RESYNC_S,
            "hooks": {"sync": _hook("/pool/sync"), "customize": _hook("/pool/customize")},
            "endpointConfigs": If("tls.enabled", [tls.endpoint()]),
        },
    }


def _hook(path: str) -> Tree:
    hook = webhook_of(ManifestsOptions.hook, path)
    hook["webhook"]["service"] |= {"namespace": Value(NAMESPACE), "port": tls.PORT, "protocol": tls.PROTOCOL}
    return hook


def variables() -> list[Tree]:
    """The variables of the hook's container."""
    return [
        If("pool.enabled", {"name": "MAX_POOL_BODY_BYTES", "value": str(MAX_BODY_BYTES)}),
        If(_TOKEN, {"name": "POOL_TOKEN_FILE", "value": f"{_TOKEN_DIRECTORY}/token"}),
    ]


def mounts() -> list[Tree]:
    return [If(_TOKEN, {"name": "pool-token", "mountPath": _TOKEN_DIRECTORY, "readOnly": True})]


def volumes() -> list[Tree]:
    return [If(_TOKEN, {"name": "pool-token", "secret": {"secretName": TOKEN_SECRET}})]


def _network_policy(labels: Tree, selector: Tree) -> Tree:
    """The kubelet needs no rule for its probes."""
    hook, monitoring = {"podSelector": {"matchLabels": selector}}, {"namespaceSelector": _monitoring()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "sources-pool", "namespace": Value(NAMESPACE), "labels": labels},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [hook], "ports": [{"protocol": "TCP", "port": POOL_PORT}]},
                {"from": [monitoring], "ports": [{"protocol": "TCP", "port": HEALTH_PORT}]},
            ],
        },
    }


def _monitoring() -> Tree:
    return namespace_labels("networkPolicy.monitoringNamespace")


def _rule(group: str, resources: list[str], verbs: list[str]) -> Tree:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
