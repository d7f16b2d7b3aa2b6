"""The values of the chart: default, schema and description of each. Overlays are other values for the same trees.

A value in a ``Text`` is not quoted, so its schema must exclude quotes, backslashes and control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from adapter.contract.formats import Json
from hooks.pod_settings.labels import QUALIFIED_NAME
from hooks.pod_settings.merge import MOST_CHARACTERS, MOST_LABELS
from hooks.pod_settings.reserved import LABELS
from metacontroller.generate.tree import NAMESPACE, Values
from sources_cli.admission import yaml

IMAGE = "registry.local/sample-source:dev"
KINDS = ("SampleSource", "CronSource", "PollSource", "WebhookSource")
POOLED_KINDS = ("SampleSource",)  # those that are Timers
POOL_RESOURCES = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}  # of the hook
METACONTROLLER_IMAGE = "ghcr.io/metacontroller/metacontroller:v4.17.2"
FLAGS = ("--discovery-interval=5s",)  # of Metacontroller
TUNED_FLAGS = (*FLAGS, "--client-go-qps=100", "--client-go-burst=200", "--workers=10")  # for many sources
TUNED_RESOURCES = {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
KNATIVE_SINK_KINDS = (
    "v1/Service",
    "serving.knative.dev/v1/Service",
    "eventing.knative.dev/v1/Broker",
    "messaging.knative.dev/v1/Channel",
    "messaging.knative.dev/v1/InMemoryChannel",
    "flows.knative.dev/v1/Sequence",
    "flows.knative.dev/v1/Parallel",
    "sinks.knative.dev/v1alpha1/JobSink",
)

_LABEL = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
_NAME = {"type": "string", "maxLength": 253, "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
_BOOLEAN = {"type": "boolean"}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_SINK_KIND = {"type": "string", "pattern": "^([a-z0-9][-a-z0-9.]*/)?v[0-9][a-z0-9]*/[A-Z][A-Za-z0-9]*$"}
_COPIED_LABEL = {
    "type": "string",
    "maxLength": MOST_CHARACTERS,
    "pattern": f"^{QUALIFIED_NAME}$",
    "not": {"pattern": f"^({LABELS})$"},
}
_IMAGE = {"type": "string", "pattern": "^[A-Za-z0-9][-A-Za-z0-9._:/@]*$"}
_OWN_VARIABLES = [
    "ADAPTER_IMAGE",
    "CONFIG_DIR",
    "TLS_DIR",
    "CLIENT_CA_FILE",
    "AUTH_TOKEN_FILE",
    "PORT",
    "HEALTH_PORT",
    "NAMESPACE",
    "POOL_TOKEN_FILE",
]
_VARIABLE = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$", "not": {"enum": _OWN_VARIABLES}},
        "value": {"type": "string"},
        "valueFrom": {"type": "object"},
    },
}
_RESOURCES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
        for name in ("requests", "limits")
    },
}
_OBJECTS = {"type": "array", "items": {"type": "object"}}


@dataclass(frozen=True)
class Option:
    """One value. ``path``: names joined by dots. ``schema``: JSON Schema, as far as Helm reads it."""

    path: str
    default: Json
    schema: Mapping[str, Any]
    description: str


OPTIONS: tuple[Option, ...] = (
    Option("image", IMAGE, _IMAGE, "The image of the hook, of the adapters and of the quick start."),
    Option(
        "imagePullSecrets",
        [],
        {"type": "array", "items": {"type": "object", "required": ["name"], "additionalProperties": False,
                                    "properties": {"name": _NAME}}},
        "Secrets with the password of the registry, as {name: NAME}, for the pods of the hook and of the quick start. "
        "For adapters, set them in adapterDefaults.",
    ),
    Option(
        "kinds", list(KINDS),
        {"type": "array", "uniqueItems": True, "minItems": 1, "items": {"type": "string", "enum": list(KINDS)}},
        "The kinds of sources to install.",
    ),
    Option(
        "sinkKinds", ["v1/Service"],
        {"type": "array", "uniqueItems": True, "minItems": 1, "items": _SINK_KIND},
        "The kinds that sink.ref of a source may name, as apiVersion/Kind. The cluster must serve each of them.",
    ),
    Option(
        "diagnosePods", False, _BOOLEAN,
        "If true, conditions of a source show why a pod of its adapter does not run. Metacontroller then watches all "
        "pods of the cluster.",
    ),
    Option(
        "adapterDefaults", {}, {},
        "Defaults for spec.adapter of all sources, such as resources, nodeSelector or imagePullSecrets.",
    ),
    Option(
        "copiedLabels", [],
        {"type": "array", "uniqueItems": True, "maxItems": MOST_LABELS, "items": _COPIED_LABEL},
        "Labels of a source that its Deployment and its pods get, too.",
    ),
    Option(
        "metacontroller.namespace", "metacontroller", _LABEL, "The namespace in which Metacontroller runs.",
    ),
    Option(
        "metacontroller.serviceAccount", "metacontroller", _NAME, "Its ServiceAccount, which gets the roles.",
    ),
    Option(
        "metacontroller.install", False, _BOOLEAN,
        "Install Metacontroller itself, too, with only the rights that it needs. Its CRDs must exist already.",
    ),
    Option("metacontroller.image", METACONTROLLER_IMAGE, _IMAGE, "The image of Metacontroller, if it is installed."),
    Option(
        "metacontroller.flags", list(FLAGS), {"type": "array", "items": {"type": "string", "pattern": "^--[a-z]"}},
        "The flags of Metacontroller, if it is installed.",
    ),
    Option(
        "metacontroller.resources", {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
        _RESOURCES, "Resources of a pod of Metacontroller, if it is installed.",
    ),
    Option(
        "metacontroller.leaderElection", False, _BOOLEAN,
        "Two pods of Metacontroller, if it is installed: one works, the other one replaces it when it is lost. "
        "Metacontroller gets the right to use a Lease in its namespace.",
    ),
    Option("replicas", 2, {"type": "integer", "minimum": 1, "maximum": 20}, "How many pods of the hook run."),
    Option(
        "resources", {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}},
        _RESOURCES, "Resources of a pod of the hook.",
    ),
    Option(
        "env", [], {"type": "array", "items": _VARIABLE},
        "More variables of the hook, such as SINK_NAMESPACES. docs/reference/settings.md lists them.",
    ),
    Option("nodeSelector", {}, _STRINGS, "Labels of the nodes for the hook."),
    Option("tolerations", [], _OBJECTS, "Taints of nodes that the hook tolerates."),
    Option(
        "tls.enabled", False, _BOOLEAN,
        "Metacontroller calls the hook by https and verifies its certificate. Needs the Secret that secretName names.",
    ),
    Option("tls.secretName", "sources-hook-tls", _NAME, "The Secret with tls.crt, tls.key and ca.crt of the hook."),
    Option(
        "tls.caBundle", "", {"type": "string", "anyOf": [{"maxLength": 0}, {"pattern": "-----BEGIN CERTIFICATE-----"}]},
        "With tls.enabled: the CA of the hook's certificate, PEM. If it is empty, Metacontroller reads ca.crt of "
        "secretName. Metacontroller gets the right to list and watch all Secrets of the cluster, unless caBundle is "
        "set and token and clientAuth are false.",
    ),
    Option(
        "tls.token", False, _BOOLEAN,
        "With tls.enabled: the hook answers only callers with a token. Needs the Secret sources-hook-token: token is "
        "what Metacontroller sends, tokens is what the hook accepts, one per line.",
    ),
    Option(
        "tls.clientAuth", False, _BOOLEAN,
        "With tls.enabled: the hook answers only callers with a client certificate that ca.crt has signed. "
        "Metacontroller uses that of the Secret sources-hook-client-tls.",
    ),
    Option(
        "networkPolicy.enabled", False, _BOOLEAN,
        "Only Metacontroller can connect to the hook, and the hook cannot connect to anybody. Needs a network plugin "
        "that enforces NetworkPolicies.",
    ),
    Option(
        "networkPolicy.metacontrollerLabels", {"app.kubernetes.io/name": "metacontroller"},
        {**_STRINGS, "minProperties": 1},  # no labels would be those of all pods
        "With networkPolicy.enabled: labels of Metacontroller's pods. Its own Helm chart sets other ones.",
    ),
    Option(
        "networkPolicy.monitoringNamespace", "monitoring", _LABEL,
        "With networkPolicy.enabled: the namespace whose pods may read /metrics.",
    ),
    Option(
        "monitoring.enabled", False, _BOOLEAN,
        "Prometheus reads the metrics of the hook and of adapters, and gets the alerts. Needs the CRDs of the "
        "Prometheus Operator.",
    ),
    Option("monitoring.labels", {}, _STRINGS, "Labels by which the Prometheus Operator selects these objects."),
    Option(
        "crds.keep", True, _BOOLEAN,
        "helm uninstall keeps the CRDs, because their deletion deletes all sources. helm upgrade updates them.",
    ),
    Option(
        "pool.enabled", False, _BOOLEAN,
        "Install the kind SourcePool: one process for many sources. Create a SourcePool before you set pool.kinds.",
    ),
    Option(
        "pool.kinds", [],
        {"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": list(POOLED_KINDS)}},
        "With pool.enabled: the kinds whose sources run in the SourcePool pool.name.",
    ),
    Option(
        "pool.name", "sources-pool", {"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"},
        "The SourcePool of pool.kinds, in the namespace of the hook.",
    ),
    Option(
        "pool.token", False, _BOOLEAN,
        "With pool.enabled: SourcePools answer only callers with a token. Needs the Secret sources-pool-token with the "
        "key token.",
    ),
    Option("quickstart.enabled", False, _BOOLEAN, "Install a sink that prints events, and the source hello."),
    Option("quickstart.namespace", "default", _LABEL, "The namespace of the quick start."),
)  # fmt: skip


def defaults() -> dict[str, Any]:
    """All values, with the namespace."""
    return {NAMESPACE: "sample-source", **nested((option.path, option.default) for option in OPTIONS)}


def with_values(changes: Mapping[str, Json]) -> Values:
    """The defaults with other values. The keys are paths. ``KeyError``: there is no such value."""
    values = defaults()
    for path, value in changes.items():
        *outer, last = path.split(".")
        place = values
        for name in outer:
            place = place[name]
        if last not in place:
            raise KeyError(path)
        place[last] = value
    return values


def values_yaml(header: str) -> str:
    lines = [f"# {line}" for line in header.splitlines()]
    described: set[str] = set()
    for option in OPTIONS:
        outer, _, name = option.path.rpartition(".")
        indent = "  " if outer else ""
        if outer != next(iter(described), ""):
            described = {outer} if outer else set()
            lines += [f"{outer}:"] if outer else []
        lines += [f"{indent}# {line}" for line in wrap(option.description, 110)]
        lines += [f"{indent}{line}" for line in yaml.dump([{name: option.default}]).splitlines()]
    return "\n".join(lines) + "\n"


def nested(entries: Iterable[tuple[str, Json]]) -> dict[str, Any]:
    """Maps in maps, of values by their paths."""
    nested: dict[str, Any] = {}
    for path, value in entries:
        *outer, last = path.split(".")
        place = nested
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = deepcopy(value)
    return nested
