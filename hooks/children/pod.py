"""The pod of an adapter. It satisfies the Pod Security Standard ``restricted``."""

from __future__ import annotations

from adapter.contract.environment import HEALTH_PORT, TOKEN_DIRECTORY, TRAFFIC_PORT, TRUST_BUNDLES
from adapter.contract.timeouts import TIMEOUTS
from hooks.children.environment import CONTAINER, environment
from hooks.children.inputs import Pod, Sinks
from hooks.protocol import Object
from hooks.source import SourceSpec

TOKEN_S = 3600
READ_ONLY = 0o444
MOUNTS = {"oidc-token": TOKEN_DIRECTORY, "knative-custom-certs": TRUST_BUNDLES}


def pod_spec(source: SourceSpec, sinks: Sinks, pod: Pod) -> Object:
    volumes = _volumes(sinks, pod.trust_bundle)
    return {
        "serviceAccountName": source.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TIMEOUTS.grace_period_s(
            source.policy.timeout_s,
            dead_letter=sinks.dead_letter_sink is not None,
            listens=source.listens,
            polls=pod.polls,
        ),
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_adapter(source, pod, environment(source, sinks, pod), volumes)],
        **({"volumes": volumes} if volumes else {}),
    }


def _adapter(source: SourceSpec, pod: Pod, env: list[Object], volumes: list[Object]) -> Object:
    return {
        "name": CONTAINER,
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
