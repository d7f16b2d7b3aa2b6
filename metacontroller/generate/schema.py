"""The JSON Schema of the values of the chart, as far as Helm reads it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from metacontroller.generate.values import OPTIONS
from sources_cli.schema.pod_settings import settings_schema

_NOT_EMPTY = {"pattern", "minimum", "minItems", "minProperties"}  # of a schema that refuses an empty value
_ON = {"const": True}
_ONLY_WITH_TLS = {  # alone, they would have no effect: the hook would answer everybody
    "if": {"anyOf": [{"properties": {name: _ON}, "required": [name]} for name in ("token", "clientAuth")]},
    "then": {"properties": {"enabled": _ON}},
}

_ONLY_WITH_POOL = {  # alone, the controllers of the kinds would name a kind that the cluster does not serve
    "if": {"properties": {"kinds": {"minItems": 1}}, "required": ["kinds"]},
    "then": {"properties": {"enabled": _ON}, "required": ["enabled"]},
}
_QUICKSTART_NEEDS_ITS_KIND = {  # its source could never be created
    "if": {
        "properties": {"quickstart": {"properties": {"enabled": _ON}, "required": ["enabled"]}},
        "required": ["quickstart"],
    },
    "then": {"properties": {"kinds": {"contains": {"const": "SampleSource"}}}},
}


def schema_json() -> str:
    """Each unknown value is refused. Helm adds ``global`` for charts that contain this one.

    Helm takes a value that is null for one that is missing, without its default. So a value that must not be empty is
    required, and so is one that is true: the templates would take it for false.
    """
    schema: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#", **_object()}
    schema["properties"]["global"] = {"type": "object"}
    for option in OPTIONS:
        *outer, name = option.path.split(".")
        place = schema
        for each in outer:
            place = place["properties"].setdefault(each, _object())
        own = _adapter_schema() if name == "adapterDefaults" else option.schema
        place["properties"][name] = {"description": option.description, **own}
        if _NOT_EMPTY & own.keys() or option.default is True:
            _require(schema, option.path)
    schema["properties"]["tls"] |= _ONLY_WITH_TLS
    schema["properties"]["pool"] |= _ONLY_WITH_POOL
    schema |= _QUICKSTART_NEEDS_ITS_KIND
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _require(schema: dict[str, Any], path: str) -> None:
    for name in path.split("."):
        required = schema.setdefault("required", [])
        if name not in required:
            required.append(name)
        schema = schema["properties"][name]


def _object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _adapter_schema() -> dict[str, Any]:
    """The schema of ``spec.adapter`` without the extensions of Kubernetes."""
    return dict(_json_schema(deepcopy(settings_schema())))


def _json_schema(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if "properties" in kept:
        kept["properties"] = {name: _json_schema(each) for name, each in kept["properties"].items()}
        kept.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = _json_schema(kept[key])
    if schema.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
    return kept
