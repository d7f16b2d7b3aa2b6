"""The hook: its account, Deployment, Service and PodDisruptionBudget, and the namespace of kustomize.

The hook has no state and no token of its ServiceAccount. Metacontroller sends it all objects that it needs.
"""

from __future__ import annotations

from adapter.contract.timeouts import TIMEOUTS
from metacontroller.generate.objects import pool, tls
from metacontroller.generate.objects.security import (
    RESTRICTED_CONTAINER,
    RESTRICTED_NAMESPACE,
    RESTRICTED_POD,
    spread_over_nodes,
)
from metacontroller.generate.tree import ITEM, NAMESPACE, Each, If, Leaf, Tree, Value

NAME = "sources-hook"
SELECTOR = {"app.kubernetes.io/name": NAME}
LABELS = {**SELECTOR, "app.kubernetes.io/part-of": "sample-source"}
PORT, HEALTH_PORT = 8080, 8081
CONFIG_MAPS = ("config-logging", "config-observability")  # of Knative, if they exist in this namespace

# Helm creates the namespace itself, with `--create-namespace`, so the chart has no such object.
KUSTOMIZE_NAMESPACE: Tree = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": Value(NAMESPACE),
        "labels": RESTRICTED_NAMESPACE,
    },
}


def metadata(**more: Tree) -> Tree:
    """The metadata of an object of the hook."""
    return {"name": NAME, "namespace": Value(NAMESPACE), **more}


def trees() -> list[Tree]:
    return [_account(), _deployment(), _service(), _disruption_budget()]


def _account() -> Tree:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(),
        "automountServiceAccountToken": False,
    }


def _deployment() -> Tree:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(labels=LABELS),
        "spec": {
            "replicas": Value("replicas"),
            "selector": {"matchLabels": SELECTOR},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": LABELS}, "spec": _pod()},
        },
    }


def _pod() -> Tree:
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,  # preStop, then a request of Metacontroller
        **{key: If(key, Value(key)) for key in ("imagePullSecrets", "nodeSelector", "tolerations")},
        "securityContext": RESTRICTED_POD,
        "topologySpreadConstraints": [spread_over_nodes(SELECTOR)],
        "containers": [_container()],
        "volumes": [
            *({"name": name, "configMap": {"name": name, "optional": True}} for name in CONFIG_MAPS),
            *tls.volumes(),
            *pool.volumes(),
        ],
    }


def _container() -> Tree:
    probe = {"httpGet": {"path": "/healthz", "port": "health"}}
    return {
        "name": "hook",
        "image": Value("image"),
        "command": ["python", "-m", "hooks"],
        "env": [
            {"name": "ADAPTER_IMAGE", "value": Value("image")},
            {"name": "CONFIG_DIR", "value": "/etc/sources"},
            # For pools. Always set: while the hook rolls out, Metacontroller may ask a pod from before the pool was
            # enabled. It keeps the answer, which names the objects of the pool, for 20 minutes.
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}},
            *tls.variables(),
            *pool.variables(),
            Each("env", Leaf(".", lambda values: values[ITEM])),
        ],
        "ports": [
            {"name": "hook", "containerPort": PORT},
            {"name": "health", "containerPort": HEALTH_PORT},  # /healthz and /metrics
        ],
        "readinessProbe": {**probe, "periodSeconds": 2},
        "livenessProbe": {**probe, "initialDelaySeconds": 10, "periodSeconds": 10, "timeoutSeconds": 5},
        # After a pod is deleted, the Service still sends requests to it for a moment. Needs Kubernetes 1.30.
        "lifecycle": {"preStop": {"sleep": {"seconds": int(TIMEOUTS.pre_stop_s)}}},
        "resources": Value("resources"),
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [
            *({"name": name, "mountPath": f"/etc/sources/{name}"} for name in CONFIG_MAPS),
            *tls.mounts(),
            *pool.mounts(),
        ],
    }


def _service() -> Tree:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(labels=LABELS),
        "spec": {
            "selector": SELECTOR,
            "ports": [
                {"name": "hook", "port": tls.PORT, "targetPort": "hook"},
                {"name": "health", "port": HEALTH_PORT, "targetPort": "health"},
            ],
        },
    }


def _disruption_budget() -> Tree:
    """With one replica, a budget of one pod would block each drain of a node."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": SELECTOR}},
    }
