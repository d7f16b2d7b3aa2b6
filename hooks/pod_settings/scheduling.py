"""Tolerations and topology spread constraints, as in Kubernetes' ``v1.PodSpec``.

Source of the rules: Kubernetes ``pkg/apis/core/validation/validation.go``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hooks.pod_settings.labels import KEY_REMEDY, QUALIFIED_NAME, Key, LabelSelector, LabelValue, label_keys_fit
from hooks.pod_settings.shapes import Checked, Rule, Shape, map_list, matching


class Toleration(Shape):
    """A taint that the pod tolerates."""

    rules = (
        Rule(
            "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
            lambda it: bool(it.key) or it.operator == "Exists",
            "without a key, write operator: Exists, which tolerates all taints",
            "operator",
        ),
        Rule(
            "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
            lambda it: it.operator != "Exists" or not it.value,
            "with operator: Exists, write no value",
            "value",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            lambda it: it.tolerationSeconds is None or it.effect == "NoExecute",
            "with tolerationSeconds, write effect: NoExecute",
            "effect",
        ),
    )

    key: Annotated[str, Checked(matching(f"({QUALIFIED_NAME})?", KEY_REMEDY))] | None = Field(
        None, max_length=317, description="The key of the taint. Empty: all keys."
    )
    operator: Literal["Equal", "Exists"] = Field("Equal", description="Equal compares the value, Exists does not.")
    value: LabelValue | None = Field(None, description="The value of the taint.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The effect of the taint. Empty: all effects."
    )
    tolerationSeconds: int | None = Field(
        None,
        ge=-(2**31),
        le=2**31 - 1,
        description="How long the pod stays after a NoExecute taint is added.",
    )


class TopologySpreadConstraint(Shape):
    """How pods are spread over places, for example zones."""

    kept_empty = frozenset(("labelSelector",))
    default_values = {"minDomains": 1, "nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Ignore"}
    rules = (
        Rule(
            "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            lambda it: it.minDomains is None or it.whenUnsatisfiable == "DoNotSchedule",
            "with minDomains, write whenUnsatisfiable: DoNotSchedule",
            "whenUnsatisfiable",
        ),
        *label_keys_fit("matchLabelKeys"),
    )

    maxSkew: int = Field(ge=1, le=1000, description="The largest difference of the numbers of pods in two places.")
    topologyKey: Key = Field(description="The label of nodes, like topology.kubernetes.io/zone.")
    whenUnsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        description="Whether the pod waits, or runs anyway."
    )
    labelSelector: LabelSelector | None = Field(None, description="The pods to count.")
    minDomains: int | None = Field(None, ge=1, le=1000, description="The least number of places.")
    nodeAffinityPolicy: Literal["Honor", "Ignore"] | None = Field(
        None,
        description="Whether nodes that nodeSelector and nodeAffinity exclude count. Default: Honor, they do not.",
    )
    nodeTaintsPolicy: Literal["Honor", "Ignore"] | None = Field(
        None, description="Whether nodes with taints that the pod does not tolerate count. Default: Ignore, they do."
    )
    matchLabelKeys: list[Key] | None = Field(
        None, max_length=8, description="Labels whose values must equal those of this pod."
    )


SpreadConstraints = Annotated[
    list[TopologySpreadConstraint],
    Field(max_length=16),
    map_list("constraints", "topologyKey", "whenUnsatisfiable"),
]
