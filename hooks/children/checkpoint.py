"""What ``spec.checkpoint`` adds to the Deployment of an adapter: a volume, a variable, an annotation, a strategy. Pure.

An adapter of another image gets the same. It may ignore all of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapter.contract.formats import Json
from hooks.checkpoint import Checkpoint
from hooks.pod_settings.reserved import CHECKPOINT_DIRECTORY, CHECKPOINT_VOLUME
from hooks.protocol import Object

VARIABLE = "CHECKPOINT_URL"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"  # names of volumes, comma-separated
# A checkpoint and its next version, each far below 1 MiB. The kubelet evicts a pod that uses more.
SIZE_LIMIT = "16Mi"
IMAGE_USER = 65532  # USER in the Dockerfile. Files of this group can be written by any user of the pod.
_DIRECTORY_URL = f"file://{CHECKPOINT_DIRECTORY}"


def url(checkpoint: Checkpoint) -> str | None:
    """The value of ``VARIABLE``; empty if it is in a Secret; None without a store."""
    return {"pod": _DIRECTORY_URL, "volume": f"{_DIRECTORY_URL}?shared=true", "url": ""}.get(checkpoint.form)


def references(checkpoint: Checkpoint) -> dict[str, Json]:
    """``VARIABLE`` and where its value is, if it is in a Secret."""
    return {VARIABLE: checkpoint.url.canonical()} if checkpoint.url else {}


def volumes(checkpoint: Checkpoint) -> list[Object]:
    if checkpoint.volume:
        return [{"name": CHECKPOINT_VOLUME, "persistentVolumeClaim": checkpoint.volume.canonical()}]
    return [{"name": CHECKPOINT_VOLUME, "emptyDir": {"sizeLimit": SIZE_LIMIT}}] if checkpoint.pod else []


def pod_security(checkpoint: Checkpoint) -> Object:
    """Fields of the pod's ``securityContext``: a new volume belongs to root, an emptyDir can be written by all."""
    return {"fsGroup": IMAGE_USER, "fsGroupChangePolicy": "OnRootMismatch"} if checkpoint.volume else {}


def pod_annotations(checkpoint: Checkpoint, others: Mapping[str, str]) -> dict[str, str]:
    """The annotations of the pod. Without ``SAFE_TO_EVICT``, the cluster autoscaler keeps the node of an emptyDir."""
    if not checkpoint.pod:
        return {**others}
    names = [name for name in others.get(SAFE_TO_EVICT, "").split(",") if name]
    listed = names if CHECKPOINT_VOLUME in names else [*names, CHECKPOINT_VOLUME]
    return {**others, SAFE_TO_EVICT: ",".join(listed)}


def strategy(checkpoint: Checkpoint) -> Object:
    if checkpoint.volume:  # most volumes can be mounted on one node at a time only
        return {"type": "Recreate"}
    # The new adapter is ready before the old one stops. Meanwhile both send the same events with the same ids.
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
