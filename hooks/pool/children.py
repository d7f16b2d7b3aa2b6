"""The children of a SourcePool: its Deployment, its Service, and an object for each source in trouble. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from adapter.contract.delivery_policy import Policy
from adapter.contract.environment import HEALTH_PORT
from adapter.contract.formats import Json
from adapter.contract.timeouts import TIMEOUTS
from hooks.children.deployment import TEMPLATE_HASH, template_hash
from hooks.children.pod import CONTAINER_SECURITY, POD_SECURITY, READ_ONLY, mount, port, probe
from hooks.names import is_dns_subdomain
from hooks.observability import Observability
from hooks.pod_settings.merge import merge
from hooks.pod_settings.read import read
from hooks.pod_settings.reserved import POOL_TOKEN_DIRECTORY, POOL_TOKEN_VOLUME
from hooks.pod_settings.settings import PodSettings
from hooks.pool.verdict import API_VERSION, TROUBLED_KIND
from hooks.protocol import Object, Parent
from hooks.settings import Settings

POOL_PORT = 8090
TOKEN_SECRET, TOKEN_KEY = "sources-pool-token", "token"
CONTAINER = "pool"
LABEL = "samples.knative.dev/source-pool"
# Of 10,000 timers with an interval of 10 s: 100 MiB at most, and a quarter of a core.
_RESOURCES: Json = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
_LONGEST_PROBLEM = 1024


def pod_settings(adapter: Json) -> PodSettings:
    """``spec.adapter`` of a SourcePool, over the defaults of a pool. ``InvalidSettings`` if it cannot be used."""
    return read(merge({"resources": _RESOURCES}, adapter or {}), "spec.adapter")


def deployment(
    pool: Parent, image: str | None, more: PodSettings, settings: Settings, observability: Observability
) -> Object:
    selected = _labels(pool)
    labels = {**more.labels, **selected}
    pod = _pod(pool, image or settings.adapter_image, more, settings, observability)
    template: Object = {"metadata": {"labels": labels, "annotations": dict(more.annotations)}, "spec": pod}
    annotations = {TEMPLATE_HASH: template_hash(template)}
    template["metadata"]["annotations"] |= annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(pool), "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 60,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selected},
            "strategy": {"type": "Recreate"},  # two processes would send all events twice
            "template": template,
        },
    }


def service(pool: Parent) -> Object:
    """It also leads to a pod that is not ready: the hook fills a new process, which is ready only then."""
    labels = _labels(pool)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**_metadata(pool), "labels": labels},
        "spec": {
            "selector": labels,
            "publishNotReadyAddresses": True,
            "ports": [{"name": "pool", "port": POOL_PORT, "protocol": "TCP", "targetPort": POOL_PORT}],
        },
    }


def troubled(pool: Parent, problems: Mapping[str, str]) -> list[Object]:
    """``problems``: uid of a source -> what is wrong. Metacontroller syncs a source when its object changes."""
    return [
        {
            "apiVersion": API_VERSION,
            "kind": TROUBLED_KIND,
            "metadata": {"name": uid, "namespace": pool.metadata.namespace, "labels": _labels(pool)},
            "spec": {"problem": problem[:_LONGEST_PROBLEM]},
        }
        for uid, problem in sorted(problems.items())
        if is_dns_subdomain(uid)
    ]


def _metadata(pool: Parent) -> Object:
    return {"name": pool.metadata.name, "namespace": pool.metadata.namespace}


def _labels(pool: Parent) -> dict[str, str]:
    return {LABEL: pool.metadata.name}


def _pod(pool: Parent, image: str, more: PodSettings, settings: Settings, observability: Observability) -> Object:
    token = {"secretName": TOKEN_SECRET, "defaultMode": READ_ONLY}
    volumes: list[Object] = [{"name": POOL_TOKEN_VOLUME, "secret": token}] if settings.pool_token_file else []
    if settings.trust_bundle:
        bundle = {"name": settings.trust_bundle, "optional": True, "defaultMode": READ_ONLY}
        volumes.append({"name": "knative-custom-certs", "configMap": bundle})
    mounts = [*(mount(volume) for volume in volumes), *more.volume_mounts]
    env = [*_env(pool, settings, observability), *more.env]
    derived_s = TIMEOUTS.grace_period_s(Policy().timeout_s, dead_letter=True, listens=False, polls=False, saves=False)
    return {
        **more.pod,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": more.grace_period_s or derived_s,
        "securityContext": POD_SECURITY,
        "containers": [_container(image, env, more.resources, mounts)],
        **({"volumes": [*volumes, *more.volumes]} if mounts else {}),
    }


def _env(pool: Parent, settings: Settings, observability: Observability) -> list[Object]:
    variables = {
        "NAMESPACE": pool.metadata.namespace,
        "NAME": pool.metadata.name,
        "POOL_PORT": str(POOL_PORT),
        "HEALTH_PORT": str(HEALTH_PORT),
        "K_LOGGING_CONFIG": observability.logging,
        "POOL_TOKEN_FILE": f"{POOL_TOKEN_DIRECTORY}/{TOKEN_KEY}" if settings.pool_token_file else "",
    }
    return [{"name": name, "value": value} for name, value in variables.items() if value]


def _container(image: str, env: list[Object], resources: Object, mounts: list[Object]) -> Object:
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["python", "-m", "adapter.pool"],
        "env": env,
        "ports": [port("pool", POOL_PORT), port("health", HEALTH_PORT)],
        "startupProbe": {**probe("/health"), "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**probe("/readiness"), "periodSeconds": 1},
        "livenessProbe": {**probe("/health"), "periodSeconds": 10},
        "resources": resources,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": CONTAINER_SECURITY,
        **({"volumeMounts": mounts} if mounts else {}),
    }
