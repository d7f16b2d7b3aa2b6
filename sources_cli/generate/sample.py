"""A source of a kind to start from: every field that has no default, the interval, and a sink. Lint accepts it."""

from __future__ import annotations

from typing import Any

from sources_cli.admission.validate import violations
from sources_cli.kind import Kind
from sources_cli.problem import Problem
from sources_cli.schema.crd import object_schema

Json = Any
SINK = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "event-display"}}


def sample(kind: Kind) -> Json:
    schema = object_schema(kind)["properties"]["spec"]
    required = schema.get("required", [])
    examples = {
        name: field["examples"][0]
        for name, field in kind.cls.model_json_schema().get("properties", {}).items()
        if field.get("examples")
    }
    own = {
        name: examples.get(name, _value(field, kind, name))
        for name, field in schema["properties"].items()
        if name in required or name in examples or name == "interval"
    }
    document = {
        "apiVersion": kind.cls.api_version,
        "kind": kind.name,
        "metadata": {"name": kind.kebab.removesuffix("-source"), "namespace": "default"},
        "spec": {**own, "sink": SINK},
    }
    for violation in violations(schema, document["spec"], ("spec",)):
        field = violation.path[1] if len(violation.path) > 1 else "spec"
        raise Problem(
            f"no sample of {kind.name} can be made: {violation.text}; write Field(examples=[...]) for {field}"
        )
    return document


def _value(field: Json, kind: Kind, name: str) -> Json:
    if "default" in field:
        return field["default"]
    if "secretKeyRef" in field.get("properties", {}):
        return {"secretKeyRef": {"name": kind.kebab, "key": name}}
    if "enum" in field:
        return field["enum"][0]
    zero = {"string": "x", "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    return zero.get(field.get("type", ""), {})
