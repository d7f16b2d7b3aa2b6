"""What an API server says of a value under a structural schema: the same verdicts, the same words. Pure.

Its order: unknown fields (strict decoding) alone; then null dropped and defaults set; then types and bounds; then rules
too, unless a mistake was found that hides them. Words: apimachinery ``field.Error``, kube-openapi ``validate``;
tests/contract/specs.yaml has them as a real server gave them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sources_cli.admission.go_values import go_pattern, is_choice, is_time, shown, type_of
from sources_cli.schema.rules import BY_CEL

_GO_FORMATS = {"integer": "int64", "number": "float64"}
_NO_FORMAT = ("string", "array", "null")
Json = Any
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Violation:
    path: Path  # keys and indexes from the object's root
    text: str  # the API server's, beginning with the field
    hides_rules: bool = False  # beside it no rule is checked (apiextensions-apiserver, ``hasBlockingErr``)


def violations(schema: Json, value: Json, path: Path = (), *, rules: bool = True) -> list[Violation]:
    found = list(_unknown(schema, value, path))
    if not found:
        value = stored(schema, value)
        found = list(_invalid(schema, value, path, written(path)))
        if rules and not any(it.hides_rules for it in found):
            found += _against_rules(schema, value, path, written(path))
    return found


def unchecked_rules(schema: Json) -> list[str]:
    """CEL that an author wrote and Python does not know; only the API server judges by it."""
    rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ()) if rule["rule"] not in BY_CEL]
    for inner in _inner(schema):
        rules += unchecked_rules(inner)
    return rules


def written(path: Path) -> str:
    """``spec.items[0].name``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _inner(schema: Json) -> Iterator[Json]:
    yield from schema.get("properties", {}).values()
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield schema[key]


def _members(schema: Json, value: Json) -> Iterator[tuple[str | int, Json, Json]]:
    """(key or index, schema, value) of everything directly inside that the schema describes."""
    if isinstance(value, dict):
        for key, it in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(inner, dict):
                yield key, inner, it
    elif isinstance(value, list) and "items" in schema:
        for index, it in enumerate(value):
            yield index, schema["items"], it


def _unknown(schema: Json, value: Json, path: Path) -> Iterator[Violation]:
    """Types are not looked at yet: an object where a text is wanted has keys that nobody knows."""
    described = {key: inner for key, inner, _ in _members(schema, value)}
    closed = not schema.get("x-kubernetes-preserve-unknown-fields")
    for key, it in value.items() if isinstance(value, dict) else ():
        if key in described:
            yield from _unknown(described[key], it, (*path, key))
        elif closed:
            yield Violation((*path, key), f'unknown field "{written((*path, key))}"')
    for index, it in enumerate(value) if isinstance(value, list) else ():
        if index in described or closed:
            yield from _unknown(described.get(index, {}), it, (*path, index))


def stored(schema: Json, value: Json) -> Json:
    """What the server keeps: without null in maps (no field of ours is nullable), with defaults."""
    if isinstance(value, list):
        return [stored(schema.get("items", {}), it) for it in value]
    if not isinstance(value, dict) or not ("properties" in schema or "additionalProperties" in schema):
        return value
    defaults = {key: it["default"] for key, it in schema.get("properties", {}).items() if "default" in it}
    present = defaults | {key: it for key, it in value.items() if it is not None}
    return {**present, **{key: stored(inner, it) for key, inner, it in _members(schema, present)}}


def _invalid(schema: Json, value: Json, path: Path, field: str) -> Iterator[Violation]:
    def violation(text: str, *, hides_rules: bool = True) -> Violation:
        return Violation(path, f"{field}: {text}", hides_rules)

    got = type_of(value)
    if of := _mistaken_type(schema, got):
        shape = f'"{_GO_FORMATS.get(got, "") if of == schema.get("format") else got}"'
        yield violation(f"Invalid value: {shape}: {field} in body must be of type {of}: {shape}")
    elif schema.get("format") == "date-time" and got == "string" and not is_time(value):
        yield violation(f"Invalid value: {shown(value)}: {field} in body must be of type date-time: {shown(value)}")
    if "enum" in schema and not any(is_choice(value, it) for it in schema["enum"]):
        listed = ", ".join(f'"{it}"' for it in schema["enum"])
        yield violation(f"Unsupported value: {shown(value)}: supported values: {listed}")
    checks: dict[str, Callable[[Json, Any, str], Iterator[str]]] = {
        "string": _text,
        "integer": _number,
        "number": _number,
        "array": _size,
        "object": _size,
    }
    if got in checks:
        for text in checks[got](schema, value, field):
            yield violation(text, hides_rules=text.startswith("Too "))
    if got == "object":
        for name in schema.get("required", ()):
            if name not in value:
                below = f"{field}.{name}" if field else name
                yield Violation((*path, name), f"{below}: Required value", hides_rules=True)
    if schema.get("x-kubernetes-list-type") == "set" and isinstance(value, list):
        for index, it in enumerate(value):
            if it in value[:index]:
                yield Violation((*path, index), f"{field}[{index}]: Duplicate value: {shown(it)}")
    for key, inner, it in _members(schema, value):
        below = f"{field}[{key}]" if isinstance(key, int) else f"{field}.{key}" if field else key
        yield from _invalid(inner, it, (*path, key), below)


def _mistaken_type(schema: Json, got: str) -> str:
    """What it should have been, as the server calls it: by the field's format, unless a text or a list came."""
    expected = _expected_type(schema)
    if not expected or got in expected or (got == "integer" and "number" in expected):
        return ""
    if "format" in schema and got == "array" and expected == ["string"]:
        return ""  # kube-openapi leaves a list to the check of the format, which looks at texts only
    return str(schema["format"]) if "format" in schema and got not in _NO_FORMAT else ",".join(expected)


def _text(schema: Json, value: str, field: str) -> Iterator[str]:
    if len(value) > schema.get("maxLength", math.inf):
        yield f"Too long: may not be more than {schema['maxLength']} bytes"
    if len(value) < schema.get("minLength", 0):
        yield f"Invalid value: {shown(value)}: {field} in body should be at least {schema['minLength']} chars long"
    if "pattern" in schema and not go_pattern(schema["pattern"]).search(value):
        yield f"Invalid value: {shown(value)}: {field} in body should match '{schema['pattern']}'"


def _number(schema: Json, value: float, field: str) -> Iterator[str]:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if value < low or (value == low and schema.get("exclusiveMinimum")):
        bound = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield f"Invalid value: {shown(value)}: {field} in body should be {bound} {shown(low)}"
    if value > high or (value == high and schema.get("exclusiveMaximum")):
        bound = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield f"Invalid value: {shown(value)}: {field} in body should be {bound} {shown(high)}"
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield f"Invalid value: {shown(value)}: {field} in body should be a multiple of {shown(schema['multipleOf'])}"


def _size(schema: Json, value: Json, field: str) -> Iterator[str]:
    of, thing = ("Items", "items") if isinstance(value, list) else ("Properties", "properties")
    if len(value) > schema.get(f"max{of}", math.inf):
        yield f"Too many: {len(value)}: must have at most {schema[f'max{of}']} items"
    if len(value) < schema.get(f"min{of}", 0):
        yield f"Invalid value: {len(value)}: {field} in body should have at least {schema[f'min{of}']} {thing}"


def _against_rules(schema: Json, value: Json, path: Path, field: str) -> Iterator[Violation]:
    for entry in schema.get("x-kubernetes-validations", ()):
        rule = BY_CEL.get(entry["rule"])
        if rule is None or rule.holds(value):
            continue
        if rule.required:
            text = f"Required value: {rule.message}"
        else:
            text = f"Invalid value: {'' if isinstance(value, dict | list) else shown(value) + ': '}{rule.message}"
        place = (*path, rule.field_path[1:]) if rule.field_path else path
        yield Violation(place, f"{field}{rule.field_path}: {text}")
    open_keys = "additionalProperties" in schema
    for key, inner, it in _members(schema, value):
        below = f"{field}[{key}]" if isinstance(key, int) or open_keys else f"{field}.{key}" if field else key
        yield from _against_rules(inner, it, (*path, key), below)


def _expected_type(schema: Json) -> list[str]:
    if schema.get("x-kubernetes-int-or-string"):
        return ["integer", "string"]
    return [schema["type"]] if "type" in schema else []
