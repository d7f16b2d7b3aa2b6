"""The CustomResourceDefinition of a kind: its class's fields, what every source shares, and the hook's status."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import TypeAdapter

from adapter.loading import describe_error
from adapter.model.event import EventType
from hooks.status import Status
from sources_cli.kind import Kind
from sources_cli.problem import Problem
from sources_cli.schema.shared_spec import SharedSpec
from sources_cli.schema.structural import structural

Json = Any
CATEGORIES = ("all", "knative", "eventing", "sources")


def crd(kind: Kind) -> Json:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"duck.knative.dev/source": "true", "eventing.knative.dev/source": "true"},
            "annotations": {"registry.knative.dev/eventTypes": registry(kind)},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": list(CATEGORIES),
            },
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(kind),
                    "schema": {"openAPIV3Schema": object_schema(kind)},
                }
            ],
        },
    }


def object_schema(kind: Kind) -> Json:
    """The structural schema of a whole source."""
    status = structural(TypeAdapter(Status).json_schema(), bounded=False, at="status")
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {
        "type": "object",
        "description": _description(kind),
        "required": ["spec"],
        "properties": {"spec": spec_schema(kind), "status": status},
    }


def spec_schema(kind: Kind) -> Json:
    """The kind's own fields first: they are why somebody reads ``kubectl explain``."""
    own = structural(_json_schema(kind))
    shared = structural(SharedSpec.model_json_schema())
    for name, field in own["properties"].items():
        if not field.get("description"):
            raise Problem(f'{kind.name}.{name} has no description; write Field(description="...") for kubectl explain')
    required = {"required": own["required"]} if "required" in own else {}
    return {**shared, **required, "properties": own["properties"] | shared["properties"]}


def _json_schema(kind: Kind) -> Json:
    try:
        return kind.source_class.model_json_schema()
    except Exception as error:  # pydantic's, or whatever an author's own type raises
        said = describe_error(error).partition(" For further information visit ")[0]
        raise Problem(
            f"{_without_schema(kind)} is of a type without JSON schema ({said}); "
            "choose one that a CRD can say, like str, int or list[str]"
        ) from None


def _without_schema(kind: Kind) -> str:
    """The first field that cannot be described by itself: pydantic's errors do not name it."""
    for name, field in kind.source_class.model_fields.items():
        alone: Any = Annotated[field.annotation, *(field.metadata or [None])]
        try:
            TypeAdapter(alone).json_schema()
        except Exception:
            return f"spec.{field.alias or name}"
    return f"spec of {kind.name}"


def registry(kind: Kind) -> str:
    """``registry.knative.dev/eventTypes``: a JSON array of type, schema and description (contract §8.1, S10)."""
    return json.dumps([_event_type(it) for it in kind.event_types], ensure_ascii=False)


def _event_type(it: EventType) -> Json:
    text = it.schema if isinstance(it.schema, str) else _data_uri(it.schema)
    described = {"type": str(it), "schema": text, "description": it.description}
    return {key: value for key, value in described.items() if value}


def _data_uri(schema: Json) -> str:
    return "data:application/schema+json," + quote(json.dumps(schema, separators=(",", ":")), safe="{}:,")


def _description(kind: Kind) -> str:
    text = (kind.source_class.__doc__ or "").strip()
    if not text:
        raise Problem(f"{kind.name} has no docstring; its first line is what kubectl explain says of the kind")
    return "\n".join(line.strip() for line in text.splitlines())


def _columns(kind: Kind) -> list[Json]:
    ready = ".status.conditions[?(@.type=='Ready')]"
    listed = [
        ("Ready", "string", f"{ready}.status"),
        ("Reason", "string", f"{ready}.reason"),
        ("Sink", "string", ".status.sinkUri"),
        *([("Interval", "string", ".spec.interval")] if "interval" in kind.source_class.model_fields else []),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]
    columns: list[Json] = [{"name": name, "type": type, "jsonPath": path} for name, type, path in listed]
    return [*columns, {"name": "Message", "type": "string", "jsonPath": f"{ready}.message", "priority": 1}]
