"""The pod of an adapter. It satisfies the Pod Security Standard ``restricted``."""

from __future__ import annotations

from adapter.contract.environment import HEALTH_PORT, TLS_SECRETS, TRAFFIC_PORT
from adapter.contract.secret_refs import tls_secrets
from adapter.contract.timeouts import TIMEOUTS
from hooks.children import checkpoint
from hooks.children.environment import CONTAINER, environment
from hooks.children.inputs import Pod, Sinks
from hooks.pod_settings.reserved import CHECKPOINT_VOLUME, MOUNTS, TLS_VOLUME
from hooks.protocol import Object
from hooks.source import SourceSpec

TOKEN_S = 3600
READ_ONLY = 0o444
POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pod_spec(source: SourceSpec, sinks: Sinks, pod: Pod) -> Object:
    more = source.adapter
    stored = checkpoint.volumes(source.checkpoint)
    volumes = [*_volumes(sinks, pod.trust_bundle), *_certificates(source, sinks), *stored]
    mounts = [*(mount(volume) for volume in volumes), *more.volume_mounts]
    env = [*environment(source, sinks, pod), *more.env]
    derived_s = TIMEOUTS.grace_period_s(
        source.policy.timeout_s,
        dead_letter=sinks.dead_letter_sink is not None,
        listens=source.listens,
        polls=source.polls,
        saves=source.checkpoint.has_store,
    )
    return {
        **more.pod,
        "serviceAccountName": source.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": more.grace_period_s or derived_s,
        "securityContext": {**checkpoint.pod_security(source.checkpoint), **POD_SECURITY},
        "containers": [_adapter(source, pod, env, mounts)],
        **({"volumes": [*volumes, *more.volumes]} if mounts else {}),
    }


def _adapter(source: SourceSpec, pod: Pod, env: list[Object], mounts: list[Object]) -> Object:
    return {
        "name": CONTAINER,
        "image": pod.image,
        **({} if pod.own_command else {"command": ["python", "-m", "adapter"]}),
        "env": env,
        "ports": [*([port("http", TRAFFIC_PORT)] if source.listens else []), port("health", HEALTH_PORT)],
        # After a pod is deleted, the Service still sends requests to it for a moment.
        **({"lifecycle": {"preStop": {"sleep": {"seconds": round(TIMEOUTS.pre_stop_s)}}}} if source.listens else {}),
        # Runs every second until it succeeds. Without it, Ready often waits 5 s for the readiness probe.
        "startupProbe": {**probe("/health"), "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**probe("/readiness"), "periodSeconds": 5},
        "livenessProbe": {**probe("/health"), "periodSeconds": 10},
        "resources": source.adapter.resources,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # the last log line becomes the termination message
        "securityContext": CONTAINER_SECURITY,
        **({"volumeMounts": mounts} if mounts else {}),
    }


def port(name: str, number: int) -> Object:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def probe(path: str) -> Object:
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


def _certificates(source: SourceSpec, sinks: Sinks) -> list[Object]:
    """The Secrets with client certificates. The kubelet renews their files."""
    sink, dead_letter_sink = sinks.sink.auth, sinks.dead_letter_sink.auth if sinks.dead_letter_sink else None
    names = sorted({*tls_secrets(source.config), *tls_secrets(sink), *tls_secrets(dead_letter_sink)})
    return [
        {"name": f"{TLS_VOLUME}{n}", "secret": {"secretName": name, "defaultMode": READ_ONLY}}
        for n, name in enumerate(names)
    ]


def mount(volume: Object) -> Object:
    name = volume["name"]
    path = f"{TLS_SECRETS}/{volume['secret']['secretName']}" if name.startswith(TLS_VOLUME) else MOUNTS[name]
    return {"name": name, "mountPath": path, **({} if name == CHECKPOINT_VOLUME else {"readOnly": True})}
