"""Merges the levels of settings of an adapter's pod: the class of a kind, the cluster, the source. Pure."""

from __future__ import annotations

from adapter.contract.formats import Json


def merge(lower: Json, upper: Json) -> Json:
    """``upper`` over ``lower``: maps merge, at any depth; any other value of ``upper`` replaces that of ``lower``.

    ``null`` clears a value. It stays in the result, so that it also clears what a later caller merges below it: the
    reader treats a field with ``null`` as absent. With more than two levels, begin with the lowest.
    The arguments are not changed, but the result may share parts with them.
    """
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return upper
    both = {name: merge(lower[name], value) if name in lower else value for name, value in upper.items()}
    return lower | both
