"""The Pod Security Standard ``restricted``, as a list of what breaks it. Written from the standard, not from the hook.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
VOLUMES = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
)
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


def broken(template: Object) -> list[str]:
    """``template``: of a Deployment. Empty if a namespace that enforces ``restricted`` admits its pods."""
    spec, metadata = template["spec"], template.get("metadata", {})
    return [*_of_pod(spec), *_of_annotations(metadata.get("annotations") or {}), *_of_containers(spec)]


def _of_pod(spec: Object) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes") or ():
        types = set(volume) - {"name"}
        if not (len(types) == 1 and types <= VOLUMES):
            yield f"volume {volume}"
    context = spec.get("securityContext") or {}
    yield from _of_context(context)
    if context.get("sysctls"):
        yield "sysctls"
    if (context.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile of the pod"
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot of the pod"


def _of_annotations(annotations: Object) -> Iterator[str]:
    for name, value in annotations.items():
        if name.startswith("container.apparmor.security.beta.kubernetes.io/") and not (
            value == "runtime/default" or value.startswith("localhost/")
        ):
            yield f"annotation {name}"


def _of_containers(spec: Object) -> Iterator[str]:
    for container in (each for kind in ("containers", "initContainers") for each in spec.get(kind) or ()):
        context = container.get("securityContext") or {}
        yield from _of_context(context)
        if context.get("privileged"):
            yield "privileged"
        if context.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        capabilities = context.get("capabilities") or {}
        if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
            yield "capabilities"
        if context.get("procMount", "Default") != "Default":
            yield "procMount"
        if any(port.get("hostPort") for port in container.get("ports") or ()):
            yield "hostPort"
        handlers = [container.get(name) or {} for name in ("startupProbe", "readinessProbe", "livenessProbe")]
        handlers += (container.get("lifecycle") or {}).values()
        if any((handler.get(kind) or {}).get("host") for handler in handlers for kind in ("httpGet", "tcpSocket")):
            yield "host of a probe"


def _of_context(context: Object) -> Iterator[str]:
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess"
    if context.get("runAsUser") == 0:
        yield "runAsUser"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot"
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield "seccompProfile"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield "appArmorProfile"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
