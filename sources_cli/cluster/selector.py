"""The label selectors of Kubernetes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from adapter.contract.formats import Json
from hooks.names import get_in, list_in

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels: NotIn also matches a missing label.
_OPERATORS: Mapping[str, Callable[[str | None, Sequence[Json]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches these labels. None and an empty one match all labels; a wrong operator none."""
    wanted = get_in(selector, "matchLabels") or {}
    expressions = list_in(selector, "matchExpressions")
    return wanted.items() <= labels.items() and all(_matches(each, labels) for each in expressions)


def _matches(expression: Json, labels: Mapping[str, str]) -> bool:
    holds = _OPERATORS.get(str(get_in(expression, "operator")))
    return bool(holds and holds(labels.get(str(get_in(expression, "key"))), list_in(expression, "values")))
