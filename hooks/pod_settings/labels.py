"""Keys and values of labels, and selectors, as in Kubernetes' ``metav1.LabelSelector``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hooks.pod_settings.shapes import Checked, Rule, Shape, keys, matching

_PREFIX = r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
QUALIFIED_NAME = rf"{_PREFIX}[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
LABEL_VALUE = "([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
KEY_REMEDY = "write a key like team or example.com/team"
_VALUE_REMEDY = "write at most 63 letters, digits, '-', '_' and '.'; the first and the last are a letter or a digit"

Key = Annotated[str, Field(max_length=317), Checked(matching(QUALIFIED_NAME, KEY_REMEDY))]
LabelValue = Annotated[str, Field(max_length=63), Checked(matching(LABEL_VALUE, _VALUE_REMEDY))]
LABEL_KEYS = keys(QUALIFIED_NAME, KEY_REMEDY)
Labels = Annotated[dict[str, LabelValue | None], Field(max_length=32), Checked(LABEL_KEYS)]
Values = Annotated[list[LabelValue], Field(max_length=32)]


def values_fit(single: bool) -> tuple[Rule, ...]:
    more = ["Gt", "Lt"] if single else []
    listed, none = ["In", "NotIn", *more], ["Exists", "DoesNotExist"]
    return (
        Rule(
            f"!(self.operator in {listed}) || (has(self.values) && size(self.values) > 0)".replace('"', "'"),
            lambda it: it.operator not in listed or bool(it.values),
            f"with the operators {', '.join(listed)}, write at least one value",
            "values",
        ),
        Rule(
            f"!(self.operator in {none}) || !has(self.values) || size(self.values) == 0",
            lambda it: it.operator not in none or not it.values,
            "with the operators Exists and DoesNotExist, write no values",
            "values",
        ),
    )


class LabelRequirement(Shape):
    """A condition on the labels of an object."""

    rules = values_fit(single=False)

    key: Key = Field(description="The key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How values are compared.")
    values: Values | None = Field(None, description="For In and NotIn.")


class LabelSelector(Shape):
    """Selects pods or namespaces by their labels. Empty: all of them."""

    matchLabels: Labels | None = Field(None, description="Labels that the object must have.")
    matchExpressions: list[LabelRequirement] | None = Field(
        None, max_length=8, description="Conditions that the object meets."
    )

    def keys(self) -> set[str]:
        expressions = self.matchExpressions or ()
        return {key for key, value in (self.matchLabels or {}).items() if value is not None}.union(
            each.key for each in expressions
        )


def label_keys_fit(field: str) -> tuple[Rule, ...]:
    """``field``: a list of keys that Kubernetes adds to the labelSelector."""
    selector = "self.labelSelector"
    listed = f"!has(self.{field}) || size(self.{field}) == 0"
    in_labels = f"has({selector}.matchLabels) && key in {selector}.matchLabels"
    in_expressions = f"has({selector}.matchExpressions) && {selector}.matchExpressions.exists(it, it.key == key)"
    return (
        Rule(
            f"{listed} || has({selector})",
            lambda it: not getattr(it, field) or it.labelSelector is not None,
            f"{field} needs a labelSelector",
            "labelSelector",
        ),
        Rule(
            f"!has({selector}) || {listed} || self.{field}.all(key, !({in_labels}) && !({in_expressions}))",
            lambda it: not (it.labelSelector and set(getattr(it, field) or ()) & it.labelSelector.keys()),
            f"a key is in {field} and in labelSelector; keep one of them",
            field,
        ),
    )
