"""The adapter's Deployment as it should be, and its Service. Pure; the verdict on the observed one is in ``rollouts``.

Names, labels and variables are Knative's (``receive_adapter.go``), so existing Deployments are adopted in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic_core import to_json

from adapter.contract.delivery_policy import LEAVE_S
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import EPOCH, parse_time
from adapter.contract.secret_refs import split_references
from hooks.addresses import Resolved
from hooks.names import child_name, get_in, kebab
from hooks.observability import Observability
from hooks.protocol import Object, Parent
from hooks.source import Source

TOKEN_S = 3600
READ_ONLY = 0o444
MOUNTS = {"oidc-token": "/oidc", "knative-custom-certs": "/knative-custom-certs"}  # as Knative mounts them
TEMPLATE_HASH = "samples.knative.dev/template-hash"
_EXPANDED = re.compile(r"\$(?=[$(])")
FORGET_S = 5  # the Service's endpoints forget a pod a moment after its end is decided; until then it still answers
FORGET = ["python", "-c", f"import time; time.sleep({FORGET_S})"]


def deployment_name(source: Source) -> str:
    meta = source.parent.metadata
    return child_name(f"{source.parent.kind.lower()}-{meta.name}-", meta.uid)


def service_name(source: Source) -> str:
    """A source's name may hold dots; its Service's is one label of a DNS name."""
    return deployment_name(source).replace(".", "-")


@dataclass(frozen=True)
class Sinks:
    """Where the adapter sends, resolved; ``dead_letters`` where the source names such a sink and it was found."""

    sink: Resolved
    dead_letters: Resolved | None = None


@dataclass(frozen=True)
class Pod:
    """What the hook's settings and the kind say of every adapter's pod."""

    image: str
    config: Observability
    trust_bundle: str | None = None  # a ConfigMap of the source's namespace; it need not be there
    own_command: bool = False  # the image is the kind's own and says itself what it runs, in whatever language


def desired(source: Source, sinks: Sinks, pod: Pod) -> Object:
    labels = pod_labels(source.parent)
    template: Object = {"metadata": {"labels": labels}, "spec": _pod(source, sinks, pod)}
    hashed = {TEMPLATE_HASH: template_hash(template)}
    template["metadata"]["annotations"] = hashed  # so that a pod says which template it runs
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(source),
            "namespace": source.parent.metadata.namespace,
            "labels": labels,
            "annotations": hashed,
        },
        "spec": {
            "replicas": source.replicas,
            "progressDeadlineSeconds": 60,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            # The new adapter serves before the old one goes; both give the same ids meanwhile (design decisions 4, 11).
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template,
        },
    }


def pod_labels(parent: Parent) -> dict[str, str]:
    return {
        "knative-eventing-source": f"{kebab(parent.kind)}-controller",
        "knative-eventing-source-name": child_name(parent.metadata.name, ""),
    }


def template_hash(template: Object) -> str:
    """Equal templates, equal hash: every dict in one is built in a fixed order, so nothing need be sorted."""
    return sha256(to_json(template)).hexdigest()[:16]


def _pod(source: Source, sinks: Sinks, pod: Pod) -> Object:
    volumes = _volumes(sinks, pod.trust_bundle)
    return {
        "serviceAccountName": source.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _grace_s(source, sinks),
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "receive-adapter",
                "image": pod.image,
                **({} if pod.own_command else {"command": ["python", "-m", "adapter"]}),
                "env": _env(source, sinks, pod.config),
                "ports": _ports(source),
                **({"lifecycle": {"preStop": {"exec": {"command": FORGET}}}} if source.listens else {}),
                # Looked at each second until it serves: without this, Ready often waits five for the next look.
                "startupProbe": {
                    "httpGet": {"path": "/health", "port": 8080},
                    "periodSeconds": 1,
                    "failureThreshold": 60,
                },
                "readinessProbe": {"httpGet": {"path": "/readiness", "port": 8080}, "periodSeconds": 5},
                "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10},
                "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
                "terminationMessagePolicy": "FallbackToLogsOnError",  # why it ended, where somebody looks first
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                **({"volumeMounts": [_mount(it["name"]) for it in volumes]} if volumes else {}),
            }
        ],
        **({"volumes": volumes} if volumes else {}),
    }


def _grace_s(source: Source, sinks: Sinks) -> int:
    grace_s = source.policy.grace_s(dead_letter=sinks.dead_letters is not None)
    return grace_s + FORGET_S + round(LEAVE_S) if source.listens else grace_s


def _ports(source: Source) -> list[Object]:
    traffic = [{"name": "http", "containerPort": 8888, "protocol": "TCP"}] if source.listens else []
    return [*traffic, {"name": "health", "containerPort": 8080, "protocol": "TCP"}]


def service(source: Source) -> Object:
    """Where a source that listens is called."""
    labels = pod_labels(source.parent)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(source),
            "namespace": source.parent.metadata.namespace,
            "labels": labels,
        },
        "spec": {
            "selector": labels,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8888}],
        },
    }


def _volumes(sinks: Sinks, trust_bundle: str | None) -> list[Object]:
    """Tokens and certificates, only where they are asked for; the kubelet keeps both fresh, the pod needs no right."""
    wanted = {"token": sinks.sink, "dead-letter-token": sinks.dead_letters}
    tokens = [
        {"serviceAccountToken": {"audience": it.audience, "expirationSeconds": TOKEN_S, "path": path}}
        for path, it in wanted.items()
        if it and it.audience
    ]
    volumes: list[Object] = []
    if tokens:
        volumes.append({"name": "oidc-token", "projected": {"defaultMode": READ_ONLY, "sources": tokens}})
    if trust_bundle:
        bundle = {"name": trust_bundle, "optional": True, "defaultMode": READ_ONLY}
        volumes.append({"name": "knative-custom-certs", "configMap": bundle})
    return volumes


def _mount(volume: str) -> Object:
    return {"name": volume, "mountPath": MOUNTS[volume], "readOnly": True}


def _env(source: Source, sinks: Sinks, config: Observability) -> list[Object]:
    sink, dead = sinks.sink, sinks.dead_letters
    plain, references = split_references(source.config)
    environ = AdapterEnv(
        event_source=source.event_source,
        interval=source.interval,
        namespace=source.parent.metadata.namespace,
        name=source.parent.metadata.name,
        metrics_domain="knative.dev/eventing",
        logging_config=config.logging,
        klog_verbosity=config.klog_verbosity,
        observability_config=config.observability,
        kind=source.parent.kind,
        uid=source.parent.metadata.uid,
        created=_created(source.parent.metadata.creationTimestamp),
        config=plain,
        secrets=dict.fromkeys(references, ""),
        delivery=source.delivery,
        sink=sink.uri,
        ca_certs=sink.ca_certs,
        audience=sink.audience,
        ce_overrides=source.extensions,
        dead_letter_sink=dead.uri if dead else None,
        dead_letter_ca_certs=dead.ca_certs if dead else None,
        dead_letter_audience=dead.audience if dead else None,
    ).to_environ()
    return [_variable(name, value, references) for name, value in environ.items()]


def _variable(name: str, value: str, references: Mapping[str, Any]) -> Object:
    if name == "NAMESPACE":
        return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}}
    if name in references:
        return {"name": name, "valueFrom": references[name]}
    # An empty value would be dropped by the API server and put back by Metacontroller on every sync (design §5).
    return {"name": name, "value": escape(value)} if value else {"name": name}


def escape(value: str) -> str:
    """Keep the kubelet from expanding ``$(VAR)`` in a value that is meant as it stands."""
    return _EXPANDED.sub("$$", value) if "$" in value else value


def _unescape(value: str) -> str:
    return value.replace("$$", "$")


def _created(text: str | None) -> datetime:
    try:
        return parse_time(text or "").replace(microsecond=0)
    except ValueError:
        return EPOCH


def last_sinks(observed: Object) -> tuple[Resolved | None, Resolved | None]:
    """The sink and the dead letter sink a running adapter has, read from its Deployment's environment."""
    containers = get_in(observed, "spec", "template", "spec", "containers")
    for container in containers if isinstance(containers, list) else []:
        env = get_in(container, "env")
        entries = env if get_in(container, "name") == "receive-adapter" and isinstance(env, list) else []
        values = {str(get_in(one, "name")): get_in(one, "value") for one in entries}
        found = {name: _unescape(value) for name, value in values.items() if isinstance(value, str)}
        if found.get("K_SINK"):
            return _resolved(found, "K_"), _resolved(found, "DEAD_LETTER_")
    return None, None


def _resolved(variables: Mapping[str, str], prefix: str) -> Resolved | None:
    url = variables.get(f"{prefix}SINK")
    return Resolved(url, variables.get(f"{prefix}CA_CERTS"), variables.get(f"{prefix}AUDIENCE")) if url else None
