"""A sample source of a kind: its required fields, those with examples, the interval and a sink. The sample is valid."""

from __future__ import annotations

from adapter.contract.formats import Json
from sources_cli.admission.validate import violations
from sources_cli.kind import Kind
from sources_cli.problem import Problem
from sources_cli.schema.crd import object_schema

SINK = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "event-display"}}


def sample(kind: Kind) -> Json:
    schema = object_schema(kind)["properties"]["spec"]
    required = schema.get("required", [])
    examples = {
        name: field["examples"][0]
        for name, field in kind.source_class.model_json_schema().get("properties", {}).items()
        if field.get("examples")
    }
    own = {
        name: examples.get(name, _value(field, kind, name))
        for name, field in schema["properties"].items()
        if name in required or name in examples or name == "interval"
    }
    document = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": kind.kebab.removesuffix("-source"), "namespace": "default"},
        "spec": {**own, "sink": SINK},
    }
    for violation in violations(schema, document["spec"], ("spec",)):
        field = violation.path[1] if len(violation.path) > 1 else "spec"
        raise Problem(
            f"cannot generate a sample of {kind.name}: {violation.text}; write Field(examples=[...]) for {field}"
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
