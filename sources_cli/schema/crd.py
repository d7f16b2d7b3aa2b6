"""The CustomResourceDefinition of a kind: the fields of its class, the fields of every source, the hook's status."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import PydanticUserError, TypeAdapter

from adapter.contract.formats import Json
from adapter.loading import describe_error
from adapter.model.event import EventType
from adapter.timing.scheduled import Scheduled
from hooks.status import Status
from sources_cli.kind import AUTHOR_ERRORS, Kind
from sources_cli.problem import Problem
from sources_cli.schema.rules import IS_DURATION, IS_DURATION_OR_EMPTY, missed_ticks, one_replica, validations
from sources_cli.schema.shared_spec import SharedSpec
from sources_cli.schema.structural import structural

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
                    "schema": {"openAPIV3Schema": deepcopy(object_schema(kind))},
                }
            ],
        },
    }


@cache
def object_schema(kind: Kind) -> Json:
    """The structural schema of a whole source. It is cached: callers must not modify it."""
    status = structural(TypeAdapter(Status).json_schema(), bounded=False, at="status")
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {
        "type": "object",
        "description": _description(kind),
        "required": ["spec"],
        "properties": {"spec": spec_schema(kind), "status": status},
    }


@cache
def spec_schema(kind: Kind) -> Json:
    """The structural schema of ``spec``: the fields of the kind, then those of every source."""
    own = {"properties": {}, **structural(_json_schema(kind))}
    shared = structural(SharedSpec.model_json_schema())
    for name, field in own["properties"].items():
        if not field.get("description"):
            raise Problem(f'{kind.name}.{name} has no description; write Field(description="...") for kubectl explain')
    of_interval = own["properties"].get("interval", {}).get("x-kubernetes-validations", [])
    if IS_DURATION in of_interval:  # the hook ignores an empty spec.interval
        of_interval[of_interval.index(IS_DURATION)] = IS_DURATION_OR_EMPTY
    default = kind.default_checkpoint
    shared["properties"]["checkpoint"]["description"] += f" Default: {default}."
    replicas = [one_replica(default)] if kind.listens and "replicas" in own["properties"] else []
    ticks = [missed_ticks(default)] if issubclass(kind.source_class, Scheduled) else []
    of_own = own.get("x-kubernetes-validations", ())
    listed = validations(*shared["x-kubernetes-validations"], *replicas, *ticks, *of_own)
    description = {"description": shared["description"]}
    return {**shared, **own, **description, **listed, "properties": own["properties"] | shared["properties"]}


def _json_schema(kind: Kind) -> Json:
    try:
        return kind.source_class.model_json_schema()
    except AUTHOR_ERRORS as error:  # an error of pydantic, or of a type that the author wrote
        reason = describe_error(error)
        if isinstance(error, PydanticUserError):  # str(error) ends with a URL, error.message does not
            reason = f"{type(error).__name__}: {error.message}"
        raise Problem(
            f"{_without_schema(kind)} has a type without JSON schema ({reason}); "
            "choose a type that a CRD can describe, like str, int or list[str]"
        ) from None


def _without_schema(kind: Kind) -> str:
    """The first field whose type has no JSON schema; pydantic's errors do not name it."""
    for name, field in kind.source_class.model_fields.items():
        alone: Any = Annotated[field.annotation, *(field.metadata or [None])]
        try:
            TypeAdapter(alone).json_schema()
        except AUTHOR_ERRORS:
            return f"spec.{field.alias or name}"
    return f"spec of {kind.name}"


def registry(kind: Kind) -> str:
    """``registry.knative.dev/eventTypes``: a JSON array of type, schema and description, which Knative's tools read."""
    return json.dumps([_event_type(event_type) for event_type in kind.event_types], ensure_ascii=False)


def _event_type(event_type: EventType) -> Json:
    schema = event_type.schema
    uri = schema if isinstance(schema, str) else _data_uri(schema)
    described = {"type": str(event_type), "schema": uri, "description": event_type.description}
    return {key: value for key, value in described.items() if value}


def _data_uri(schema: Json) -> str:
    return "data:application/schema+json," + quote(json.dumps(schema, separators=(",", ":")), safe="{}:,")


def _description(kind: Kind) -> str:
    text = (kind.source_class.__doc__ or "").strip()
    if not text:
        raise Problem(f"{kind.name} has no docstring; write one: kubectl explain shows it as the kind's description")
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
