"""The levels of settings of an adapter's pod: the class of a kind, the cluster, copied labels, the source. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapter.contract.formats import Json
from adapter.contract.kind_names import MAX_LABEL, MAX_NAME
from hooks.pod_settings.labels import QUALIFIED_NAME
from hooks.pod_settings.reserved import LABELS

MOST_LABELS = 16
MOST_CHARACTERS = MAX_NAME + len("/") + MAX_LABEL


def merge(lower: Json, upper: Json) -> Json:
    """``upper`` over ``lower``: maps merge, at any depth; any other value of ``upper`` replaces that of ``lower``.

    ``null`` clears a value. It stays in the result: ``read`` gives a field with null no value at all, and a missing
    field the default of the project. With more than two levels, merge the lowest ones first.
    The arguments are not changed, but the result may share parts with them.
    """
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return upper
    both = {name: merge(lower[name], value) if name in lower else value for name, value in upper.items()}
    return lower | both


def read_label_names(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of names of labels, without duplicates. ``ValueError`` says what to write."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if re.fullmatch(LABELS, name):
            raise ValueError(f'"{name}" is set by the hook or by Kubernetes; leave it out')
        if not re.fullmatch(QUALIFIED_NAME, name, re.ASCII) or len(name) > MOST_CHARACTERS:
            raise ValueError(f'"{name}" is not the name of a label; write one like team or example.com/cost-center')
    if len(names) > MOST_LABELS:
        raise ValueError(f"{len(names)} labels are listed; write at most {MOST_LABELS}")
    return names


def copied(labels: Mapping[str, str] | None, names: tuple[str, ...]) -> dict[str, str]:
    """The labels with these names, in the order of ``names``."""
    return {name: labels[name] for name in names if name in labels} if labels else {}
