"""Checks a value against a structural schema as the API server does. Pure.

The order is that of the API server: unknown fields (strict decoding) end the check; then null is removed from maps and
defaults are set; then types and bounds; then CEL rules, unless an error was found that prevents them.
tests/contract/specs.yaml contains the responses of a real API server.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from adapter.contract.formats import Json, parse_time
from sources_cli.admission import cel
from sources_cli.problem import did_you_mean

Path = tuple[str | int, ...]
_TYPES = {bool: "boolean", str: "string", dict: "object", list: "array", type(None): "null"}
_SIZES = {"string": ("Length", "characters"), "array": ("Items", "items"), "object": ("Properties", "entries")}
_HIDDEN_VALUE = re.compile(r"\n|://[^/]*@|.{200}")  # may contain a private key or a password, or is too long to read
_NO_SECRET = "; write secretKeyRef with name and key, because a text in this field would show the secret"


@dataclass(frozen=True)
class Violation:
    path: Path  # keys and indexes from the object's root
    problem: str  # like 'Invalid value: "x": write a duration'
    prevents_rules: bool = False  # the API server then skips CEL rules (apiextensions-apiserver, ``hasBlockingErr``)
    rule_message: str = ""  # if a CEL rule is broken

    @property
    def text(self) -> str:
        return f"{field_name(self.path)}: {self.problem}"


def violations(schema: Json, value: Json, path: Path = ()) -> list[Violation]:
    return list(unknown_fields(schema, value, path)) or value_violations(schema, value, path)


def value_violations(schema: Json, value: Json, path: Path = (), *, rules: bool = True) -> list[Violation]:
    """``rules``: whether to check CEL rules, too."""
    value = stored(schema, value)
    found = list(_invalid(schema, value, path))
    if rules and not any(violation.prevents_rules for violation in found):
        found += _broken_rules(schema, value, path)
    return found


def unchecked_rules(schema: Json) -> list[str]:
    """The rules that lint cannot evaluate, each with the reason."""
    reasons = [(rule["rule"], cel.unsupported(rule)) for rule in schema.get("x-kubernetes-validations", ())]
    rules = [f"{text} ({reason})" for text, reason in reasons if reason]
    inside = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return rules + [rule for inner in inside if inner for rule in unchecked_rules(inner)]


def stored(schema: Json, value: Json) -> Json:
    """What the API server keeps: without null in maps, except in nullable fields; with defaults."""
    if isinstance(value, list):
        return [stored(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict) or not ("properties" in schema or "additionalProperties" in schema):
        return value
    defaults = {key: inner["default"] for key, inner in schema.get("properties", {}).items() if "default" in inner}
    nullable = {key for key, inner, _ in _members(schema, value) if inner.get("nullable")}
    present = defaults | {key: member for key, member in value.items() if member is not None or key in nullable}
    return {**present, **{key: stored(inner, member) for key, inner, member in _members(schema, present)}}


def field_name(path: Path) -> str:
    """``spec.items[0].name``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def invalid(value: Json, problem: str) -> str:
    """The text of an "Invalid value". It shows a scalar if that is short and cannot contain a secret."""
    if value is None or isinstance(value, dict | list) or _HIDDEN_VALUE.search(str(value)):
        return f"Invalid value: {problem}"
    text = json.dumps(value, ensure_ascii=not str(value).isprintable())
    return f"Invalid value: {text}: {problem}"


def _members(schema: Json, value: Json) -> Iterator[tuple[str | int, Json, Json]]:
    """(key or index, schema, value) of each direct member that the schema describes."""
    if isinstance(value, dict):
        for key, member in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(inner, dict):
                yield key, inner, member
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield index, schema["items"], item


def unknown_fields(schema: Json, value: Json, path: Path = ()) -> Iterator[Violation]:
    """Strict decoding. It precedes the check of types, so the keys of an object in place of a string are unknown."""
    described = {key: inner for key, inner, _ in _members(schema, value)}
    closed = not schema.get("x-kubernetes-preserve-unknown-fields")
    for key, member in value.items() if isinstance(value, dict) else ():
        if key in described:
            yield from unknown_fields(described[key], member, (*path, key))
        elif closed:
            names = schema.get("properties", ())
            known = f"; known fields: {', '.join(names)}{did_you_mean(key, names)}" if names else ""
            yield Violation((*path, key), f"unknown field{known}")
    for index, item in enumerate(value) if isinstance(value, list) else ():
        if index in described or closed:
            yield from unknown_fields(described.get(index, {}), item, (*path, index))


def _invalid(schema: Json, value: Json, path: Path) -> Iterator[Violation]:
    if value is None and schema.get("nullable"):
        return
    got, expected = _type_of(value), _expected_types(schema)
    if expected and not _is_of_type(schema, got, expected):
        shown = None if expected == ["object"] else value  # a string may be a secret, written without secretKeyRef
        remedy = _NO_SECRET if got == "string" and "secretKeyRef" in schema.get("properties", ()) else ""
        problem = invalid(shown, f"must be of type {' or '.join(expected)}, not {got}{remedy}")
        yield Violation(path, problem, prevents_rules=True)
        return
    if schema.get("format") == "date-time" and got == "string" and not _is_time(value):
        problem = invalid(value, "write an RFC 3339 time like 2026-01-31T12:00:00Z")
        yield Violation(path, problem, prevents_rules=True)
    if value not in schema.get("enum", [value]):
        choices = ", ".join(json.dumps(choice) for choice in schema["enum"])
        yield Violation(path, f"Unsupported value: {json.dumps(value)}: write one of {choices}", prevents_rules=True)
    if got in _SIZES:
        yield from _size_violations(schema, value, path, *_SIZES[got])
    if got in ("integer", "number"):
        yield from (Violation(path, invalid(value, problem)) for problem in _number_problems(schema, value))
    if got == "string" and "pattern" in schema and not cel.matches(value, schema["pattern"]):
        yield Violation(path, invalid(value, f"must match the pattern {schema['pattern']}"))
    if got == "object":
        missing = [name for name in schema.get("required", ()) if name not in value]
        yield from (Violation((*path, name), "Required value", prevents_rules=True) for name in missing)
    if got == "array":
        yield from _repeated(schema, value, path)
    for key, inner, member in _members(schema, value):
        yield from _invalid(inner, member, (*path, key))


def _repeated(schema: Json, value: list[Json], path: Path) -> Iterator[Violation]:
    """Of a list whose items are unique, as a whole or in some fields."""
    list_type, names = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    if list_type not in ("set", "map"):
        return
    seen = set[str]()
    for index, item in enumerate(value):
        identity = {name: item.get(name) for name in names} if names and isinstance(item, dict) else item
        text = json.dumps(identity, sort_keys=True)
        if text in seen:
            yield Violation((*path, index), f"Duplicate value: {json.dumps(identity)}")
        seen.add(text)


def _expected_types(schema: Json) -> list[str]:
    if schema.get("x-kubernetes-int-or-string"):
        return ["integer", "string"]
    return [schema["type"]] if "type" in schema else []


def _is_of_type(schema: Json, got: str, expected: list[str]) -> bool:
    if got in expected or (got == "integer" and "number" in expected):
        return True
    return got == "array" and expected == ["string"] and "format" in schema  # kube-openapi does not check it


def _type_of(value: Json) -> str:
    """Go reads a whole number of 64 bits as an integer, even if it is written as 1.0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _TYPES[type(value)]
    is_whole = isinstance(value, int) or value.is_integer()
    return "integer" if is_whole and -(2**63) <= value < 2**63 else "number"


def _is_time(text: str) -> bool:
    try:
        return bool(parse_time(text))
    except ValueError:
        return False


def _size_violations(schema: Json, value: Json, path: Path, keyword: str, unit: str) -> Iterator[Violation]:
    size, most, least = len(value), schema.get(f"max{keyword}", math.inf), schema.get(f"min{keyword}", 0)
    if size > most:
        what = "Too long" if unit == "characters" else "Too many"
        yield Violation(path, f"{what}: {size} {unit}; write at most {most}", prevents_rules=True)
    if size < least:
        yield Violation(path, f"Invalid value: {size} {unit}; write at least {least}")


def _number_problems(schema: Json, value: float) -> Iterator[str]:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if value < low or (value == low and schema.get("exclusiveMinimum")):
        yield f"must be {'greater than' if schema.get('exclusiveMinimum') else 'at least'} {low}"
    if value > high or (value == high and schema.get("exclusiveMaximum")):
        yield f"must be {'less than' if schema.get('exclusiveMaximum') else 'at most'} {high}"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"must be a multiple of {schema['multipleOf']}"


def _broken_rules(schema: Json, value: Json, path: Path) -> Iterator[Violation]:
    if value is None and schema.get("nullable"):
        return
    for rule in schema.get("x-kubernetes-validations", ()):
        if failure := cel.failure(rule, schema, value):
            reason = rule.get("reason", "FieldValueInvalid").removeprefix("FieldValue")  # Invalid, Required, …
            problem = invalid(value, failure.message) if reason == "Invalid" else f"{reason} value: {failure.message}"
            if failure.error:
                problem += f" (the rule {rule['rule']} could not be evaluated: {failure.error})"
            yield Violation((*path, *cel.field_path(rule)), problem, rule_message=failure.message)
    for key, inner, member in _members(schema, value):
        yield from _broken_rules(inner, member, (*path, key))
