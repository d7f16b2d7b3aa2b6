"""Checks a whole source as the API server does: first its version, then its metadata, then its spec. Pure."""

from __future__ import annotations

from adapter.contract.formats import Json
from sources_cli.admission import metadata as metadata_checks
from sources_cli.admission.validate import Violation, invalid, unknown_fields, value_violations
from sources_cli.kind import Kind
from sources_cli.schema.crd import object_schema
from sources_cli.schema.pool_crds import source_pool_schema


def object_violations(kind: Kind, value: Json) -> list[Violation]:
    """Why the API server would reject ``value``, a source of this kind. Empty if it would accept ``value``."""
    if value.get("apiVersion") != kind.api_version:
        problem = invalid(value.get("apiVersion"), f'write "{kind.api_version}", the apiVersion of {kind.name}')
        return [Violation(("apiVersion",), problem)]
    return _violations(object_schema(kind), value)


def pool_violations(value: Json) -> list[Violation]:
    """Why the API server would reject ``value``, a SourcePool."""
    return _violations(source_pool_schema(), value)


def _violations(schema: Json, value: Json) -> list[Violation]:
    metadata = value.get("metadata")
    if mistakes := list(metadata_checks.undecodable(metadata)):
        return mistakes[:1]
    schema = _with_metadata(schema)
    if unknown := list(unknown_fields(schema, value)):
        return unknown
    named = list(metadata_checks.mistakes(metadata))
    return [*named, *value_violations(schema, value, rules=not any(mistake.prevents_rules for mistake in named))]


def _with_metadata(schema: Json) -> Json:
    anything = {"x-kubernetes-preserve-unknown-fields": True}
    known: Json = {
        "apiVersion": {},
        "kind": {},
        "metadata": {"properties": dict.fromkeys(metadata_checks.FIELDS, anything)},
    }
    return {**schema, "properties": known | schema["properties"]}
