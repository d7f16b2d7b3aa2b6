"""The settings of an adapter's pod, checked and canonical."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapter.contract.formats import Json

Object = dict[str, Json]


class InvalidSettings(ValueError):
    """A setting that cannot be used. The text names the field, its value and what to write."""


@dataclass(frozen=True)
class PodSettings:
    """Each value is as the API server stores it. Equal settings are equal here, however they were written."""

    resources: Object = field(default_factory=dict)
    pod: Object = field(default_factory=dict)  # fields of the pod's spec: nodeSelector, tolerations, affinity, …
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    env: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()
    volume_mounts: tuple[Object, ...] = ()
    grace_period_s: int | None = None  # None: the derived one
