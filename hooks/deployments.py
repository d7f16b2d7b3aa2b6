"""The desired Deployment and Service of an adapter. Pure; ``rollouts`` assesses the observed Deployment.

Names, labels and variables are those of Knative (``receive_adapter.go``), so that existing Deployments are adopted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from pydantic_core import to_json

from adapter.contract.egress import DEFAULT_EGRESS, Egress
from adapter.contract.environment import HEALTH_PORT, TOKEN_DIRECTORY, TRAFFIC_PORT, TRUST_BUNDLES, AdapterEnv
from adapter.contract.formats import EPOCH, Json, parse_time
from adapter.contract.secret_refs import split_references
from adapter.contract.timeouts import TIMEOUTS
from hooks.addresses import Resolved
from hooks.names import child_name, get_in, kebab, list_in
from hooks.observability import Observability
from hooks.protocol import Object, Parent
from hooks.source import SourceSpec

TOKEN_S = 3600
READ_ONLY = 0o444
MOUNTS = {"oidc-token": TOKEN_DIRECTORY, "knative-custom-certs": TRUST_BUNDLES}
TEMPLATE_HASH = "samples.knative.dev/template-hash"
_CONTAINER = "receive-adapter"
_EXPANDED = re.compile(r"\$(?=[$(])")


def deployment_name(source: SourceSpec) -> str:
    meta = source.parent.metadata
    return child_name(f"{source.parent.kind.lower()}-{meta.name}-", meta.uid)


def service_name(source: SourceSpec) -> str:
    """The name of a Service is one DNS label, so it cannot contain the dots that the name of a source may have."""
    return deployment_name(source).replace(".", "-")


@dataclass(frozen=True)
class Sinks:
    """The resolved sinks of an adapter."""

    sink: Resolved
    dead_letter_sink: Resolved | None = None


@dataclass(frozen=True)
class Pod:
    """The part of a pod that does not depend on the source."""

    image: str
    config: Observability
    egress: Egress = DEFAULT_EGRESS
    trust_bundle: str | None = None  # a ConfigMap in the namespace of the source, which may be missing
    own_command: bool = False  # use the command of the image, which may contain an adapter in any language


def desired(source: SourceSpec, sinks: Sinks, pod: Pod) -> Object:
    labels = pod_labels(source.parent)
    template: Object = {"metadata": {"labels": labels}, "spec": _pod(source, sinks, pod)}
    annotations = {TEMPLATE_HASH: template_hash(template)}
    template["metadata"]["annotations"] = annotations  # so that each pod names the template that it runs
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(source),
            "namespace": source.parent.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {
            "replicas": source.replicas,
            "progressDeadlineSeconds": 60,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            # The new adapter is ready before the old one stops. Meanwhile both send the same events with the same ids.
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
    """A hash of the template. The keys are not sorted: this module builds them in a fixed order."""
    return sha256(to_json(template)).hexdigest()[:16]


def _pod(source: SourceSpec, sinks: Sinks, pod: Pod) -> Object:
    volumes = _volumes(sinks, pod.trust_bundle)
    return {
        "serviceAccountName": source.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TIMEOUTS.grace_period_s(
            source.policy.timeout_s, dead_letter=sinks.dead_letter_sink is not None, listens=source.listens
        ),
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_adapter(source, pod, _env(source, sinks, pod), volumes)],
        **({"volumes": volumes} if volumes else {}),
    }


def _adapter(source: SourceSpec, pod: Pod, env: list[Object], volumes: list[Object]) -> Object:
    return {
        "name": _CONTAINER,
        "image": pod.image,
        **({} if pod.own_command else {"command": ["python", "-m", "adapter"]}),
        "env": env,
        "ports": [*([_port("http", TRAFFIC_PORT)] if source.listens else []), _port("health", HEALTH_PORT)],
        # After a pod is deleted, the Service still sends requests to it for a moment.
        **({"lifecycle": {"preStop": {"sleep": {"seconds": round(TIMEOUTS.pre_stop_s)}}}} if source.listens else {}),
        # Runs every second until it succeeds. Without it, Ready often waits 5 s for the readiness probe.
        "startupProbe": {**_probe("/health"), "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**_probe("/readiness"), "periodSeconds": 5},
        "livenessProbe": {**_probe("/health"), "periodSeconds": 10},
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "terminationMessagePolicy": "FallbackToLogsOnError",  # the last log line becomes the termination message
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **({"volumeMounts": [_mount(volume["name"]) for volume in volumes]} if volumes else {}),
    }


def _port(name: str, number: int) -> Object:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _probe(path: str) -> Object:
    return {"httpGet": {"path": path, "port": HEALTH_PORT}}


def service(source: SourceSpec) -> Object:
    """The Service that receives the requests to a source that listens."""
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
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": TRAFFIC_PORT}],
        },
    }


def _volumes(sinks: Sinks, trust_bundle: str | None) -> list[Object]:
    """Tokens and certificates, if the source needs them. The kubelet renews both, so the pod needs no permissions."""
    files = {"token": sinks.sink, "dead-letter-token": sinks.dead_letter_sink}
    tokens = [
        {"serviceAccountToken": {"audience": sink.audience, "expirationSeconds": TOKEN_S, "path": path}}
        for path, sink in files.items()
        if sink and sink.audience
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


def _env(source: SourceSpec, sinks: Sinks, pod: Pod) -> list[Object]:
    sink, dead_letter_sink, config = sinks.sink, sinks.dead_letter_sink, pod.config
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
        dead_letter_sink=dead_letter_sink.uri if dead_letter_sink else None,
        dead_letter_ca_certs=dead_letter_sink.ca_certs if dead_letter_sink else None,
        dead_letter_audience=dead_letter_sink.audience if dead_letter_sink else None,
        allowed_hosts=pod.egress.allowed_hosts,
        denied_networks=pod.egress.denied_networks,
    ).to_environ()
    return [_variable(name, value, references) for name, value in environ.items()]


def _variable(name: str, value: str, references: Mapping[str, Json]) -> Object:
    if name == "NAMESPACE":
        return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}}
    if name in references:
        return {"name": name, "valueFrom": references[name]}
    # The API server removes an empty value, and Metacontroller would add it again with every sync.
    return {"name": name, "value": escape(value)} if value else {"name": name}


def escape(value: str) -> str:
    """Escape ``$(VAR)``, which the kubelet would replace with the value of a variable."""
    return _EXPANDED.sub("$$", value) if "$" in value else value


def unescape(value: str) -> str:
    return value.replace("$$", "$")


def _created(text: str | None) -> datetime:
    try:
        return parse_time(text or "").replace(microsecond=0)
    except ValueError:
        return EPOCH


def last_sinks(observed: Object) -> tuple[Resolved | None, Resolved | None]:
    """The sink and the dead letter sink of a running adapter, from the environment in its Deployment."""
    for container in list_in(observed, "spec", "template", "spec", "containers"):
        entries = list_in(container, "env") if get_in(container, "name") == _CONTAINER else []
        values = {str(get_in(entry, "name")): get_in(entry, "value") for entry in entries}
        found = {name: unescape(value) for name, value in values.items() if isinstance(value, str)}
        if found.get("K_SINK"):
            return (
                _resolved(found, "K_SINK", "K_CA_CERTS", "K_AUDIENCE"),
                _resolved(found, "DEAD_LETTER_SINK", "DEAD_LETTER_CA_CERTS", "DEAD_LETTER_AUDIENCE"),
            )
    return None, None


def _resolved(environ: Mapping[str, str], url: str, ca_certs: str, audience: str) -> Resolved | None:
    return Resolved(environ[url], environ.get(ca_certs), environ.get(audience)) if environ.get(url) else None
