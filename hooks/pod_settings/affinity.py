"""The affinity of a pod, as in Kubernetes' ``v1.Affinity``.

Source of the rules: Kubernetes ``pkg/apis/core/validation/validation.go``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hooks.names import DNS_LABEL
from hooks.pod_settings.labels import Key, LabelSelector, Values, label_keys_fit, values_fit
from hooks.pod_settings.shapes import NULLABLE, Checked, Rule, Shape, matching

Weight = Annotated[int, Field(ge=1, le=100, description="From 1 to 100. The node with the highest sum is preferred.")]
Namespace = Annotated[str, Field(max_length=63), Checked(matching(DNS_LABEL, "write the name of a namespace"))]

_INTEGER = "[0-9]{1,18}"


class NodeRequirement(Shape):
    """A condition on the labels of a node."""

    rules = (
        *values_fit(single=True),
        Rule(
            f"!(self.operator in ['Gt', 'Lt']) || !has(self.values) || (size(self.values) == 1"
            f" && self.values.all(value, value.matches('^({_INTEGER})$')))",
            lambda it: it.operator not in ("Gt", "Lt") or _is_one_integer(it.values or []),
            "with the operators Gt and Lt, write one whole number in quotes",
            "values",
        ),
    )

    key: Key = Field(description="The key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How values are compared."
    )
    values: Values | None = Field(None, description="For In, NotIn, Gt and Lt.")


def _is_one_integer(values: list[str]) -> bool:
    return len(values) == 1 and matching(_INTEGER, "").holds(values[0])


class NodeField(Shape):
    """A condition on the name of a node."""

    key: Literal["metadata.name"] = Field(description="The only field that Kubernetes compares.")
    operator: Literal["In", "NotIn"] = Field(description="How the value is compared.")
    values: list[Annotated[str, Field(max_length=253)]] = Field(
        min_length=1, max_length=1, description="The name of a node."
    )


class NodeTerm(Shape):
    """Conditions on a node. All must be true."""

    matchExpressions: list[NodeRequirement] | None = Field(None, max_length=8, description="Conditions on its labels.")
    matchFields: list[NodeField] | None = Field(None, max_length=4, description="Conditions on its name.")


class NodeSelector(Shape):
    """The nodes on which the pod may run."""

    nodeSelectorTerms: list[NodeTerm] = Field(min_length=1, max_length=8, description="One of them must be true.")


class PreferredNodes(Shape):
    """Nodes that are better than others."""

    kept_empty = frozenset(("preference",))

    weight: Weight
    preference: NodeTerm = Field(description="Conditions on a node. All must be true.")


class NodeAffinity(Shape):
    """The nodes on which the pod may run, or should run."""

    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = Field(None, json_schema_extra=NULLABLE)
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredNodes] | None = Field(
        None, max_length=8, description="The nodes on which the pod should run.", json_schema_extra=NULLABLE
    )


class PodTerm(Shape):
    """Pods, and a label of nodes. Nodes with the same value of the label count as one place."""

    kept_empty = frozenset(("labelSelector", "namespaceSelector"))
    rules = (
        *label_keys_fit("matchLabelKeys"),
        *label_keys_fit("mismatchLabelKeys"),
        Rule(
            "!has(self.matchLabelKeys) || !has(self.mismatchLabelKeys)"
            " || self.matchLabelKeys.all(key, !(key in self.mismatchLabelKeys))",
            lambda it: not set(it.matchLabelKeys or ()) & set(it.mismatchLabelKeys or ()),
            "a key is in matchLabelKeys and in mismatchLabelKeys; keep one of them",
            "mismatchLabelKeys",
        ),
    )

    topologyKey: Key = Field(description="The label of nodes, like kubernetes.io/hostname.")
    labelSelector: LabelSelector | None = Field(None, description="The pods. Empty: all pods. Absent: no pods.")
    namespaces: list[Namespace] | None = Field(
        None, max_length=8, description="The namespaces of the pods. Default: the source's."
    )
    namespaceSelector: LabelSelector | None = Field(
        None, description="More namespaces of the pods. Empty: all namespaces."
    )
    matchLabelKeys: list[Key] | None = Field(
        None, max_length=8, description="Labels whose values must equal those of this pod."
    )
    mismatchLabelKeys: list[Key] | None = Field(
        None, max_length=8, description="Labels whose values must differ from those of this pod."
    )


class PreferredPods(Shape):
    """Places that are better than others."""

    weight: Weight
    podAffinityTerm: PodTerm


class PodAffinity(Shape):
    """The pods near which, or far from which, the pod may run or should run."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodTerm] | None = Field(
        None, max_length=8, description="All must be true.", json_schema_extra=NULLABLE
    )
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredPods] | None = Field(
        None, max_length=8, description="Terms that should be true.", json_schema_extra=NULLABLE
    )


class Affinity(Shape):
    """The nodes that the pod may run on or prefers, and the pods that it runs near or far from."""

    nodeAffinity: NodeAffinity | None = Field(None, json_schema_extra=NULLABLE)
    podAffinity: PodAffinity | None = Field(
        None, description="Pods near which the pod runs.", json_schema_extra=NULLABLE
    )
    podAntiAffinity: PodAffinity | None = Field(
        None, description="Pods from which the pod keeps away.", json_schema_extra=NULLABLE
    )
