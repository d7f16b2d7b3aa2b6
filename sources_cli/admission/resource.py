"""What an API server says of a whole source: its version, its metadata, its spec, in the order it looks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sources_cli.admission.go_values import shown
from sources_cli.admission.validate import Path, Violation, violations
from sources_cli.kind import Kind
from sources_cli.schema.crd import object_schema

Json = Any
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_METADATA = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
    "generation", "labels", "managedFields", "name", "namespace", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
)  # fmt: skip
_GO_TYPES = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def object_violations(kind: Kind, value: Json) -> list[Violation]:
    """What the API server says of a whole source, in the order it looks."""
    if value.get("apiVersion") != kind.api_version:
        text = f'no matches for kind "{kind.name}" in version "{value.get("apiVersion")}"'
        return [Violation(("apiVersion",), f'{text}; write "{kind.api_version}"')]
    if undecodable := list(_undecodable(value.get("metadata"))):
        return undecodable[:1]
    anything = {"x-kubernetes-preserve-unknown-fields": True}
    known: Json = {"apiVersion": {}, "kind": {}, "metadata": {"properties": dict.fromkeys(_METADATA, anything)}}
    schema = object_schema(kind)
    named = list(_misnamed(value.get("metadata") or {}))
    rules = not any(it.hides_rules for it in named)
    found = violations({**schema, "properties": {**known, **schema["properties"]}}, value, rules=rules)
    return found if any("unknown field" in it.text for it in found) else [*named, *found]


def _undecodable(metadata: Json) -> Iterator[Violation]:
    if not isinstance(metadata, dict):
        yield Violation(("metadata",), f"metadata is {shown(metadata)}: write name: and the source's name below it")
        return
    for field in ("name", "namespace", "generateName"):
        if isinstance(metadata.get(field), tuple(_GO_TYPES)):
            yield _not_text(("metadata", field), metadata[field])
    for field in ("labels", "annotations"):
        entries = metadata.get(field)
        for key, it in entries.items() if isinstance(entries, dict) else ():
            if isinstance(it, tuple(_GO_TYPES)):
                yield _not_text(("metadata", field, key), it)


def _not_text(path: Path, value: Json) -> Violation:
    got = _GO_TYPES[type(value)]
    return Violation(path, f"json: cannot unmarshal {got} into Go struct field ObjectMeta.{path[1]} of type string")


def _misnamed(metadata: Json) -> Iterator[Violation]:
    name = metadata.get("name")
    path = ("metadata", "name")
    if not name:
        if not metadata.get("generateName"):
            text = "metadata.name: Required value: name or generateName is required"
            yield Violation(path, text, hides_rules=True)
    elif len(name) > 253:
        yield Violation(path, f"metadata.name: Invalid value: {shown(name)}: must be no more than 253 characters")
    elif not re.fullmatch(_SUBDOMAIN, name, re.ASCII):
        yield Violation(
            path,
            f"metadata.name: Invalid value: {shown(name)}: a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
            f"'example.com', regex used for validation is '{_SUBDOMAIN}')",
        )
