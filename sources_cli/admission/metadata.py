"""Checks ``metadata`` as the API server does (apimachinery, ``ValidateObjectMeta``). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapter.contract.formats import Json
from hooks.names import is_dns_label, is_dns_subdomain
from sources_cli.admission.validate import Path, Violation, invalid

FIELDS = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
    "generation", "labels", "managedFields", "name", "namespace", "ownerReferences", "resourceVersion", "selfLink",
    "uid",
)  # fmt: skip
MAX_ANNOTATIONS = 256 * 1024  # bytes of all keys and values together
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]", re.ASCII)
_NAME_RULE = "write at most 63 letters, digits, '-', '_' and '.', with a letter or a digit at both ends"
_KEY_RULE = f"{_NAME_RULE}, optionally after a domain, like example.com/my-name"
_TEXTS = ("name", "namespace", "generateName", "resourceVersion", "selfLink", "uid")


def undecodable(metadata: Json) -> Iterator[Violation]:
    """Values of a wrong type, which the API server cannot decode. It reports the first of them only."""
    if not isinstance(metadata, dict):
        yield Violation(("metadata",), invalid(metadata, "write an object like {name: my-source}"))
        return
    for field in _TEXTS:
        yield from _not_text(("metadata", field), metadata.get(field))
    for field in ("labels", "annotations"):
        entries = metadata.get(field)
        if not isinstance(entries, dict | None):
            yield Violation(("metadata", field), invalid(entries, "write an object like {key: value}"))
            continue
        for key, entry in (entries or {}).items():
            yield from _not_text(("metadata", field, key), entry)
    finalizers = metadata.get("finalizers")
    if not isinstance(finalizers, list | None):
        yield Violation(("metadata", "finalizers"), invalid(finalizers, "write a list of strings"))
    for entry in finalizers if isinstance(finalizers, list) else ():
        yield from _not_text(("metadata", "finalizers"), entry)


def _not_text(path: Path, value: Json) -> Iterator[Violation]:
    if value is not None and not isinstance(value, str):
        yield Violation(path, invalid(value, "must be a string; put it in quotes"))


def mistakes(metadata: Json) -> Iterator[Violation]:
    """``metadata``: without values that cannot be decoded."""
    yield from _name_mistakes(metadata)
    yield from namespace_mistakes(metadata)
    for key, value in (metadata.get("labels") or {}).items():
        if not is_qualified_name(key):
            yield Violation(("metadata", "labels"), invalid(key, _KEY_RULE))
        if value and not _NAME.fullmatch(value):
            yield Violation(("metadata", "labels"), invalid(value, _NAME_RULE))
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        if not is_qualified_name(key.lower()):
            yield Violation(("metadata", "annotations"), invalid(key, _KEY_RULE))
    size = sum(len(text.encode()) for entry in annotations.items() for text in entry if text)
    if size > MAX_ANNOTATIONS:
        yield Violation(("metadata", "annotations"), f"Too long: {size} bytes; write at most {MAX_ANNOTATIONS}")
    for finalizer in metadata.get("finalizers") or ():
        if not is_qualified_name(finalizer or ""):
            yield Violation(("metadata", "finalizers"), invalid(finalizer, _KEY_RULE))


def _name_mistakes(metadata: Json) -> Iterator[Violation]:
    name, prefix = metadata.get("name"), metadata.get("generateName") or ""
    if not name and not prefix:
        yield Violation(("metadata", "name"), "Required value: write name or generateName", prevents_rules=True)
        return
    given = name or f"{prefix[:58]}aaaaa"  # five characters are random
    for field, text in (("name", given), ("generateName", re.sub(".-$", "a", prefix))):
        if len(text) > 253:
            yield Violation(("metadata", field), f"Too long: {len(text)} characters; write at most 253")
        elif text and not is_dns_subdomain(text):
            problem = "write lower-case letters, digits, '-' and '.', like my-source"
            yield Violation(("metadata", field), invalid(metadata.get(field, prefix), problem))


def namespace_mistakes(metadata: Json) -> Iterator[Violation]:
    namespace = metadata.get("namespace")
    if namespace and not is_dns_label(namespace):
        problem = "write at most 63 lower-case letters, digits and '-', like my-namespace"
        yield Violation(("metadata", "namespace"), invalid(namespace, problem))


def is_qualified_name(text: str) -> bool:
    """``name`` or ``domain/name``, as the keys of labels and annotations are."""
    domain, slash, name = text.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (is_dns_subdomain(domain) if slash else True)
