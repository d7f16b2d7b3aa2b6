"""``spec.adapter``: the fields that a source may set for the pod of its adapter.

Names and shapes are those of Kubernetes. No value can leave the Pod Security Standard ``restricted``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from hooks.names import DNS_SUBDOMAIN
from hooks.pod_settings import reserved
from hooks.pod_settings.affinity import Affinity
from hooks.pod_settings.labels import LABEL_KEYS, LabelValue
from hooks.pod_settings.resources import Resources
from hooks.pod_settings.scheduling import SpreadConstraints, Toleration
from hooks.pod_settings.shapes import NULLABLE, Checked, Rule, Shape, keys, map_list, matching, not_matching
from hooks.pod_settings.storage import DataKey, ObjectName, VolumeMounts, Volumes

# YAML does not allow these characters, and server-side apply sends YAML.
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
IS_TEXT = Rule(
    r"!self.matches('[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\x{fffe}\\x{ffff}]')",
    lambda text: not _NO_TEXT.search(text),
    "must not contain control characters other than tabs and line breaks",
)
EnvText = Annotated[str, Field(max_length=4096), Checked(IS_TEXT)]
AnnotationText = Annotated[str, Field(max_length=4096), Checked(IS_TEXT)]


class KeyOfSecret(Shape):
    """A key of a Secret in the source's namespace."""

    name: ObjectName = Field(description="The Secret's name.")
    key: DataKey = Field(description="The key in the Secret's data.")
    optional: bool | None = Field(None, description="If true, the key may be missing.")


class KeyOfConfigMap(Shape):
    """A key of a ConfigMap in the source's namespace."""

    name: ObjectName = Field(description="The ConfigMap's name.")
    key: DataKey = Field(description="The key in the ConfigMap's data.")
    optional: bool | None = Field(None, description="If true, the key may be missing.")


class ValueFrom(Shape):
    """Where the value is read when the pod starts: a key of a Secret or of a ConfigMap."""

    rules = (
        Rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            lambda it: (it.secretKeyRef is None) != (it.configMapKeyRef is None),
            "set either secretKeyRef or configMapKeyRef, with name and key",
        ),
    )

    secretKeyRef: KeyOfSecret | None = None
    configMapKeyRef: KeyOfConfigMap | None = None


class EnvVar(Shape):
    """A variable in the environment of the adapter."""

    rules = (
        Rule(
            "!has(self.valueFrom) || !has(self.value) || self.value == ''",
            lambda it: it.valueFrom is None or not it.value,
            "write either value or valueFrom",
            "value",
        ),
    )

    name: Annotated[
        str,
        Field(max_length=256),
        Checked(
            matching("[-._a-zA-Z][-._a-zA-Z0-9]*", "write a name like HTTPS_PROXY"),
            not_matching(
                reserved.VARIABLES, "the adapter or its Python interpreter uses this name; choose another one"
            ),
        ),
    ] = Field(description="The name. Names that the adapter or Python uses are refused.")
    value: EnvText | None = Field(None, description="The value. $(NAME) is the value of a variable above.")
    valueFrom: ValueFrom | None = None


class PullSecret(Shape):
    """A Secret with the password of a registry, in the source's namespace."""

    name: ObjectName = Field(description="The Secret's name.")


def _each_names_one(items: str, others: str, remedy: str) -> Rule:
    """Each item of the one list has the name of an item of the other list."""
    found = f"self.{items}.all(it, self.{others}.exists(other, other.name == it.name))"
    # A ternary evaluates one branch. With ||, cel-python evaluates both, and fails for null.
    cel = f"{_absent(items)} ? true : {_absent(others)} ? size(self.{items}) == 0 : {found}"

    def holds(fields: Any) -> bool:
        names = {item.name for item in getattr(fields, others) or ()}
        return all(item.name in names for item in getattr(fields, items) or ())

    return Rule(cel, holds, remedy, items)


def _absent(name: str) -> str:
    return f"(!has(self.{name}) || dyn(self.{name}) == null)"


LabelEntry = Annotated[LabelValue | None, Field(json_schema_extra=NULLABLE)]
Selector = Annotated[dict[str, LabelEntry], Field(max_length=32), Checked(LABEL_KEYS)]
_RESERVED_LABELS = (
    "controllers set knative-eventing-source, knative-eventing-source-name, controller-uid, pod-template-hash and "
    "labels of knative.dev; remove them"
)
_RESERVED_ANNOTATIONS = (
    "annotations of knative.dev, metacontroller.k8s.io, deployment.kubernetes.io, AppArmor and seccomp are refused; "
    "remove them"
)
PodLabels = Annotated[
    dict[str, LabelEntry],
    Field(max_length=32),
    Checked(LABEL_KEYS, keys(reserved.LABELS, _RESERVED_LABELS, match=False)),
]
PodAnnotations = Annotated[
    dict[str, Annotated[AnnotationText | None, Field(json_schema_extra=NULLABLE)]],
    Field(max_length=16),
    Checked(
        LABEL_KEYS,
        keys(
            reserved.ANNOTATIONS,
            _RESERVED_ANNOTATIONS,
            match=False,
        ),
    ),
]


class AdapterFields(Shape):
    """The pod of the adapter. Names and shapes are those of Kubernetes. null clears a default."""

    rules = (
        _each_names_one("volumeMounts", "volumes", "a mount names no volume; add the volume to volumes"),
        _each_names_one("volumes", "volumeMounts", "a volume has no mount; add one to volumeMounts"),
    )

    resources: Resources | None = Field(None, json_schema_extra=NULLABLE)
    nodeSelector: Selector | None = Field(
        None, description="Labels that the node must have.", json_schema_extra=NULLABLE
    )
    tolerations: list[Toleration] | None = Field(
        None, max_length=32, description="The taints that the pod tolerates.", json_schema_extra=NULLABLE
    )
    affinity: Affinity | None = Field(None, json_schema_extra=NULLABLE)
    topologySpreadConstraints: SpreadConstraints | None = Field(
        None, description="How pods are spread over places, for example zones.", json_schema_extra=NULLABLE
    )
    priorityClassName: (
        Annotated[str, Checked(matching(f"|{DNS_SUBDOMAIN}", "write the name of a PriorityClass"))] | None
    ) = Field(None, max_length=253, description="The PriorityClass of the pod.", json_schema_extra=NULLABLE)
    imagePullSecrets: Annotated[list[PullSecret], map_list("secrets", "name")] | None = Field(
        None, max_length=8, description="Secrets with passwords of registries.", json_schema_extra=NULLABLE
    )
    labels: PodLabels | None = Field(
        None, description="Labels of the pod and of its Deployment.", json_schema_extra=NULLABLE
    )
    annotations: PodAnnotations | None = Field(None, description="Annotations of the pod.", json_schema_extra=NULLABLE)
    env: Annotated[list[EnvVar], map_list("variables", "name")] | None = Field(
        None, max_length=32, description="More variables in the environment of the adapter.", json_schema_extra=NULLABLE
    )
    volumes: Volumes | None = Field(
        None, description="Volumes of the pod. Each has a mount in volumeMounts.", json_schema_extra=NULLABLE
    )
    volumeMounts: VolumeMounts | None = Field(
        None, description="Where the volumes are mounted in the adapter's container.", json_schema_extra=NULLABLE
    )
    terminationGracePeriodSeconds: int | None = Field(
        None,
        ge=1,
        le=86400,
        description="Seconds that the adapter has to deliver its last event. The hook derives the default from "
        "spec.delivery.timeout. The default is also the minimum.",
        json_schema_extra=NULLABLE,
    )
