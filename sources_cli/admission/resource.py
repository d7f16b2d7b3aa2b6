"""Checks a whole source as the API server does: first its version, then its metadata, then its spec. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.contract.formats import Json
from hooks.names import is_dns_subdomain
from sources_cli.admission.validate import Path, Violation, invalid, unknown_fields, value_violations
from sources_cli.kind import Kind
from sources_cli.schema.crd import object_schema

_METADATA = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
    "generation", "labels", "managedFields", "name", "namespace", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
)  # fmt: skip


def object_violations(kind: Kind, value: Json) -> list[Violation]:
    """Why the API server would reject ``value``, a source of this kind. Empty if it would accept ``value``."""
    if value.get("apiVersion") != kind.api_version:
        problem = invalid(value.get("apiVersion"), f'write "{kind.api_version}", the apiVersion of {kind.name}')
        return [Violation(("apiVersion",), problem)]
    metadata = value.get("metadata")
    if mistakes := list(_metadata_mistakes(metadata)):
        return mistakes[:1]
    schema = _with_metadata(object_schema(kind))
    if unknown := list(unknown_fields(schema, value)):
        return unknown
    named = list(_name_mistakes(metadata or {}))
    return [*named, *value_violations(schema, value, rules=not any(mistake.prevents_rules for mistake in named))]


def _with_metadata(schema: Json) -> Json:
    anything = {"x-kubernetes-preserve-unknown-fields": True}
    known: Json = {"apiVersion": {}, "kind": {}, "metadata": {"properties": dict.fromkeys(_METADATA, anything)}}
    return {**schema, "properties": known | schema["properties"]}


def _metadata_mistakes(metadata: Json) -> Iterator[Violation]:
    """Values that the API server cannot decode. It reports the first of them only."""
    if not isinstance(metadata, dict):
        yield Violation(("metadata",), invalid(metadata, "write an object like {name: my-source}"))
        return
    for field in ("name", "namespace", "generateName"):
        yield from _not_text(("metadata", field), metadata.get(field))
    for field in ("labels", "annotations"):
        entries = metadata.get(field)
        for key, entry in entries.items() if isinstance(entries, dict) else ():
            yield from _not_text(("metadata", field, key), entry)


def _not_text(path: Path, value: Json) -> Iterator[Violation]:
    if value is not None and not isinstance(value, str):
        yield Violation(path, invalid(value, "must be a string; put it in quotes"))


def _name_mistakes(metadata: Json) -> Iterator[Violation]:
    name, path = metadata.get("name"), ("metadata", "name")
    if not name and not metadata.get("generateName"):
        yield Violation(path, "Required value: write name or generateName", prevents_rules=True)
    elif name and len(name) > 253:
        yield Violation(path, f"Too long: {len(name)} characters; write at most 253")
    elif name and not is_dns_subdomain(name):
        yield Violation(path, invalid(name, "write lower-case letters, digits, '-' and '.', like my-source"))
