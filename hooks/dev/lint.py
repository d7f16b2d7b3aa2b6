"""``sources lint``: what an API server would say of the sources in some files, without one. Runs nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hooks.dev import yaml
from hooks.dev.crd import object_schema
from hooks.dev.documents import is_source, read_yaml
from hooks.dev.kinds import Kind, kind_named
from hooks.dev.problem import Problem
from hooks.dev.validate import Path as FieldPath
from hooks.dev.validate import Violation, shown, unchecked_rules, violations

Json = Any
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_METADATA = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
    "generation", "labels", "managedFields", "name", "namespace", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
)  # fmt: skip
_GO_TYPES = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True)
class LintOptions:
    files: Sequence[Path]
    output: str = "text"
    package: str = "adapter.sources"


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    kind: str
    name: str  # <namespace>/<name>
    message: str  # the API server's


async def lint(options: LintOptions) -> int:
    """0: the API server would take every source; 1: it would not, and why."""
    findings: list[Finding] = []
    checked, unchecked = 0, set[str]()
    for file in options.files:
        for document in read_yaml(file):
            if not is_source(document.value):
                continue
            checked += 1
            findings += _findings(str(file), document, options.package, unchecked)
    if not checked:
        raise Problem(
            f"{', '.join(map(str, options.files))}: no source in it; add an object whose kind ends with Source"
        )
    _print(findings, checked, options.output)
    for rule in sorted(unchecked):
        print(f"not checked, only an API server can: {rule}", file=sys.stderr)
    return 1 if findings else 0


def _findings(file: str, document: yaml.Document, package: str, unchecked: set[str]) -> Iterator[Finding]:
    value = document.value
    metadata = value.get("metadata") if isinstance(value.get("metadata"), dict) else {}
    name = metadata.get("name") or metadata.get("generateName")
    place = f"{metadata.get('namespace') or 'default'}/{name}"
    try:
        kind = kind_named(value["kind"], package)
    except Problem as problem:
        yield Finding(file, document.line(("kind",)), value["kind"], place, str(problem))
        return
    unchecked.update(unchecked_rules(object_schema(kind)))
    for violation in object_violations(kind, value):
        yield Finding(file, document.line(violation.path), kind.name, place, violation.text)


def object_violations(kind: Kind, value: Json) -> list[Violation]:
    """What the API server says of a whole source, in the order it looks."""
    if value.get("apiVersion") != kind.cls.api_version:
        text = f'no matches for kind "{kind.name}" in version "{value.get("apiVersion")}"'
        return [Violation(("apiVersion",), f'{text}; write "{kind.cls.api_version}"')]
    if undecodable := list(_undecodable(value.get("metadata"))):
        return undecodable[:1]
    known: Json = {"apiVersion": {}, "kind": {}, "metadata": {"properties": {field: {} for field in _METADATA}}}
    schema = object_schema(kind)
    named = list(_misnamed(value.get("metadata") or {}))
    found = violations({**schema, "properties": {**known, **schema["properties"]}}, value)
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


def _not_text(path: FieldPath, value: Json) -> Violation:
    got = _GO_TYPES[type(value)]
    return Violation(path, f"json: cannot unmarshal {got} into Go struct field ObjectMeta.{path[1]} of type string")


def _misnamed(metadata: Json) -> Iterator[Violation]:
    name = metadata.get("name")
    path = ("metadata", "name")
    if not name:
        if not metadata.get("generateName"):
            yield Violation(path, "metadata.name: Required value: name or generateName is required")
    elif len(name) > 253:
        yield Violation(path, f"metadata.name: Invalid value: {shown(name)}: must be no more than 253 characters")
    elif not re.fullmatch(_SUBDOMAIN, name, re.ASCII):
        yield Violation(
            path,
            f"metadata.name: Invalid value: {shown(name)}: a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
            f"'example.com', regex used for validation is '{_SUBDOMAIN}')",
        )


def _print(findings: Sequence[Finding], checked: int, output: str) -> None:
    ordered = sorted(findings, key=lambda it: (it.file, it.line))
    if output == "json":
        print(json.dumps([asdict(it) for it in ordered], ensure_ascii=False))
    elif output == "yaml":
        print(yaml.dump([[asdict(it) for it in ordered]]), end="")
    else:
        for it in ordered:
            print(f"{it.file}:{it.line}: {it.kind} {it.name}: {it.message}")
        if not findings:
            print(f"{checked} source{'s' if checked > 1 else ''}, no problem")
