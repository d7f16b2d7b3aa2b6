"""Converts pydantic's JSON schema to the structural schema of a CRD: one type per field, no references, no titles.

A type that a CRD cannot describe raises a ``Problem`` that names the field. Strings, lists and maps without a bound get
one, because the API server rejects rules over values of unlimited size.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapter.contract.formats import Json
from sources_cli.problem import Problem
from sources_cli.schema import rules
from sources_cli.schema.rules import Rule, validations

MAX_LENGTH, MAX_ITEMS, MAX_PROPERTIES = 1024, 64, 64
_KEPT = (
    "description", "default", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf",
    "minItems", "maxItems", "minProperties", "maxProperties", "required", "nullable", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-validations",
)  # fmt: skip
_FORMATS = frozenset(("date", "date-time", "uuid", "email", "ipv4", "ipv6", "byte", "password"))
_SCALARS = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}


def structural(schema: Json, *, bounded: bool = True, at: str = "spec") -> Json:
    """``at``: the path that a Problem names. ``bounded``: strings, lists and maps without a bound get one."""
    return _Structural(schema.get("$defs", {}), bounded).convert(schema, at)


class _Structural:
    def __init__(self, definitions: Mapping[str, Json], bounded: bool) -> None:
        self._definitions = definitions
        self._bounded = bounded
        self._inside: list[str] = []

    def convert(self, schema: Json, at: str) -> Json:
        schema = self._without_union(schema, at)
        if "$ref" in schema:
            return self._reference(schema, at)
        if schema.get("format") in _EXPANSIONS:
            limits = [rules.at_most(schema["maxDuration"])] if "maxDuration" in schema else []
            more = validations(*limits, *schema.get("x-kubernetes-validations", ()))
            return _merged({**_described(schema), **_EXPANSIONS[schema["format"]]}, more)
        if schema.get("type") == "int-or-string":
            return {**_kept(schema), "x-kubernetes-int-or-string": True}
        type = schema.get("type") or _type_of(schema.get("enum", [schema.get("const")]))
        if type is None:
            if "enum" in schema or "const" in schema:
                raise Problem(f"{at} has several types; a field of a CRD has one type, like str, int or list[str]")
            return {**_kept(schema), "x-kubernetes-preserve-unknown-fields": True}
        kept = {"type": type, **_kept(schema)}
        if "const" in schema:
            kept["enum"] = [schema["const"]]
        if type == "object":
            return kept | self._object(schema, at)
        if type == "array":
            return kept | self._array(schema, at)
        return kept | (self._string(schema) if type == "string" else _number(schema, type))

    def _without_union(self, schema: Json, at: str) -> Json:
        """``X | None`` becomes an optional X; ``int | str`` becomes int-or-string."""
        options = [option for option in schema.get("anyOf", schema.get("oneOf", ())) if option.get("type") != "null"]
        if not options:
            return schema
        outer = {key: part for key, part in schema.items() if key not in ("anyOf", "oneOf", "discriminator")}
        if len(options) == 1:
            return _merged(options[0], outer)
        if sorted(str(option.get("type")) for option in options) == ["integer", "string"]:
            return {**outer, "type": "int-or-string"}
        raise Problem(f"{at} has several types; a field of a CRD has one type, like str, int or list[str]")

    def _reference(self, schema: Json, at: str) -> Json:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in self._inside:
            raise Problem(f"{at} is a {name} inside a {name}; a CRD cannot describe a recursive type")
        self._inside.append(name)
        outer = {key: part for key, part in schema.items() if key != "$ref"}
        converted = self.convert(_merged(self._definitions[name], outer), at)
        self._inside.pop()
        return converted

    def _object(self, schema: Json, at: str) -> Json:
        if "properties" in schema:
            more = {"x-kubernetes-preserve-unknown-fields": True} if schema.get("additionalProperties") is True else {}
            named = {name: self.convert(field, f"{at}.{name}") for name, field in schema["properties"].items()}
            return {**more, **({"properties": named} if named else {})}  # the API server removes an empty map
        values = schema.get("additionalProperties")
        if not isinstance(values, dict) or not values:
            return {"x-kubernetes-preserve-unknown-fields": True}
        bound = {"maxProperties": schema.get("maxProperties", MAX_PROPERTIES)} if self._bounded else {}
        return {**bound, "additionalProperties": self.convert(values, f"{at}[*]")}

    def _array(self, schema: Json, at: str) -> Json:
        if not isinstance(schema.get("items"), dict) or not schema["items"]:
            raise Problem(f"{at} is a list without a type for its items; write one like list[str]")
        bound = {"maxItems": schema.get("maxItems", MAX_ITEMS)} if self._bounded else {}
        items = self.convert(schema["items"], f"{at}[*]")
        unique = schema.get("uniqueItems") and items["type"] in _SCALARS
        return {**bound, "items": items, **({"x-kubernetes-list-type": "set"} if unique else {})}

    def _string(self, schema: Json) -> Json:
        if schema.get("format") in _FORMATS:
            return {"format": schema["format"], **({"maxLength": 64} if self._bounded else {})}
        needs_bound = self._bounded and not any(key in schema for key in ("enum", "const", "maxLength"))
        return {"maxLength": MAX_LENGTH} if needs_bound else {}


def _merged(inner: Json, outer: Json) -> Json:
    """``outer`` replaces parts of ``inner``, but the rules of both apply."""
    listed = [*inner.get("x-kubernetes-validations", ()), *outer.get("x-kubernetes-validations", ())]
    return {**inner, **outer, **(validations(*listed) if listed else {})}


def _number(schema: Json, type: str) -> Json:
    converted: Json = {"format": "int64"} if type == "integer" else {}
    for bound in ("minimum", "maximum"):  # exclusiveMinimum is a number in JSON schema, a boolean in OpenAPI 3.0
        exclusive = schema.get(f"exclusive{bound.capitalize()}")
        if exclusive is not None:
            converted |= {bound: exclusive, f"exclusive{bound.capitalize()}": True}
    return converted


def _kept(schema: Json) -> Json:
    return {key: schema[key] for key in _KEPT if key in schema and not (key == "default" and schema[key] is None)}


def _described(schema: Json) -> Json:
    kept = _kept(schema)
    return {key: kept[key] for key in ("description", "default") if key in kept}


def _type_of(values: list[Json]) -> str | None:
    types = {bool: "boolean", int: "integer", float: "number", str: "string"}
    found = {types.get(type(value)) for value in values}
    return found.pop() if len(found) == 1 else None


def _key_of(kind: str) -> Json:
    return {
        "type": "object",
        "description": f"A key of a {kind} in the source's namespace.",
        **validations(*rules.KEY_OF),
        "properties": {
            "name": _string(253, rules.OBJECT_NAME, description=f"The {kind}'s name."),
            "key": _string(253, rules.KEY, description=f"The key in the {kind}'s data."),
            "optional": {"type": "boolean", "description": "If true, the key may be missing."},
        },
    }


def _string(max_length: int, *listed: Rule, **more: Json) -> Json:
    return {"type": "string", "maxLength": max_length, **more, **validations(*listed)}


# The schemas of the types of ``adapter.sdk``, by the format in their JSON schema.
_EXPANSIONS: Mapping[str, Json] = {
    "go-duration": _string(rules.DURATION_MAX_LENGTH, *rules.DURATION),
    "http-url": _string(2048, *rules.HTTP_URL, rules.PRINTABLE, rules.PORT_OF_URL),
    "pem-certificates": _string(65536, rules.CERTIFICATES),
    "key-reference": {
        "type": "object",
        **validations(rules.KEY_REFERENCE),
        "properties": {"secretKeyRef": _key_of("Secret"), "configMapKeyRef": _key_of("ConfigMap")},
    },
}
