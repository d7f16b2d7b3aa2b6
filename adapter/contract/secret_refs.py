"""Values that stand in a Secret or ConfigMap: taken out of a spec by the hook, filled in by the adapter. Pure.

What passes between the two is ``{"$env": "SOURCE_SECRET_<n>"}`` in the config and a variable of that name; beside it
``"optional": true`` where the variable may be missing, and with it the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Any
SECRET_VARIABLE = "SOURCE_SECRET_{}"
_REFERENCE_KEYS = ("secretKeyRef", "configMapKeyRef")
_ABSENT = object()


def split_references(config: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """Take every ``{secretKeyRef|configMapKeyRef: …}`` out: (config with ``{"$env": NAME}``, NAME -> reference)."""
    references: dict[str, Json] = {}

    def walk(value: Json) -> Json:
        if _is_reference(value):
            name = SECRET_VARIABLE.format(len(references))
            references[name] = _sorted(value)
            return {"$env": name, "optional": True} if _is_optional(value) else {"$env": name}
        if isinstance(value, Mapping):
            return {key: walk(value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    return {key: walk(config[key]) for key in sorted(config)}, references


def _is_reference(value: Json) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _REFERENCE_KEYS


def _is_optional(reference: Mapping[str, Json]) -> bool:
    key = next(iter(reference.values()))
    return isinstance(key, Mapping) and key.get("optional") is True


def _sorted(value: Json) -> Json:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, Mapping) else value


def fill(config: Mapping[str, Json], secrets: Mapping[str, str]) -> dict[str, Json]:
    """The config with its secrets; ``KeyError`` of the variable that is missing. An optional one is left out."""

    def fields(value: Mapping[str, Json]) -> dict[str, Json]:
        filled = {key: walk(it) for key, it in value.items()}
        return {key: it for key, it in filled.items() if it is not _ABSENT}

    def walk(value: Json) -> Json:
        if isinstance(value, Mapping):
            name = value.get("$env")
            if not isinstance(name, str) or not value.keys() <= {"$env", "optional"}:
                return fields(value)
            return secrets.get(name, _ABSENT) if "optional" in value else secrets[name]
        return [it for it in map(walk, value) if it is not _ABSENT] if isinstance(value, list) else value

    return fields(config)
