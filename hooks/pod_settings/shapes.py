"""What the models of this package are made of: checked texts, quantities, and objects with rules between their fields.

Each check is declared once, as Python for the hook and as CEL for the CRD. So both give the same message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from adapter.contract.formats import Json
from hooks.pod_settings import quantities

NULLABLE: dict[str, Any] = {"nullable": True}  # as json_schema_extra: null clears the default of a lower level


def wrong(remedy: str, field: str = "") -> PydanticCustomError:
    """``remedy``: what to write. ``field``: the member of the checked object that is wrong."""
    return PydanticCustomError("wrong", "{remedy}", {"remedy": remedy, "field": field})


def escaped(text: str) -> str:
    """As the content of a CEL string in single quotes."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def cel_matches(pattern: str, value: str = "self") -> str:
    return f"{value}.matches('^({escaped(pattern)})$')"


@dataclass(frozen=True)
class Rule:
    """``holds`` checks a value in Python, ``cel`` in the CRD. ``cel`` is empty if the schema has the check.

    ``field``: the member that is wrong.
    """

    cel: str
    holds: Callable[[Any], bool]
    remedy: str
    field: str = ""

    @property
    def validation(self) -> dict[str, str]:
        path = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.cel, "message": self.remedy, **path}

    def check(self, value: Any) -> None:
        if not self.holds(value):
            raise wrong(self.remedy, self.field)


def matching(pattern: str, remedy: str) -> Rule:
    """The whole text matches ``pattern``, which means the same in RE2 and in Python's ``re.ASCII``."""
    compiled = re.compile(pattern, re.ASCII)
    return Rule(cel_matches(pattern), lambda text: bool(compiled.fullmatch(text)), remedy)


def not_matching(pattern: str, remedy: str) -> Rule:
    compiled = re.compile(pattern, re.ASCII)
    return Rule(f"!{cel_matches(pattern)}", lambda text: not compiled.fullmatch(text), remedy)


def keys(pattern: str, remedy: str, *, match: bool = True) -> Rule:
    """All keys of a map match ``pattern``, or none of them."""
    compiled = re.compile(pattern, re.ASCII)
    cel = f"self.all(key, {'' if match else '!'}{cel_matches(pattern, 'key')})"
    return Rule(cel, lambda entries: all(bool(compiled.fullmatch(key)) == match for key in entries), remedy)


class Checked:
    """An annotation of a type: each value of it satisfies ``rules``."""

    def __init__(self, *rules: Rule, **schema: Json) -> None:
        self._rules, self._schema = rules, schema

    def _check(self, value: Any) -> Any:
        for rule in self._rules:
            rule.check(value)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {**handler(schema), **self._schema, **_validations(self._rules)}


class Quantity:
    """An annotation: a number or text becomes the one text that the API server stores for its value."""

    def __init__(self, text: Callable[[Fraction], str], least: str, remedy: str) -> None:
        self._text, self._least, self._remedy = text, quantities.parse(least), remedy
        # Without a pattern: the API server knows no limit for the length, so the estimated cost would be too high.
        self._cel = f"isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('{least}')) >= 0"

    def _canonical(self, value: Json) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise wrong(self._remedy)
        try:
            amount = quantities.parse(str(value))
        except ValueError:
            raise wrong(self._remedy) from None
        if amount < self._least:
            raise wrong(self._remedy)
        return self._text(amount)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._canonical)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        rule = {"rule": self._cel, "message": self._remedy}
        return {"type": "int-or-string", "x-kubernetes-validations": [rule]}


def _validations(rules: tuple[Rule, ...]) -> dict[str, Any]:
    listed = [rule.validation for rule in rules if rule.cel]
    return {"x-kubernetes-validations": listed} if listed else {}


def _add_rules(schema: dict[str, Any], model: type[Any]) -> None:
    schema.update(_validations(model.rules))


class Shape(BaseModel):
    """An object of Kubernetes.

    ``rules``: between its fields. ``kept_empty``: the fields whose empty value has a meaning. ``default_values``: the
    values that mean the same as no value.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=_add_rules)
    rules: ClassVar[tuple[Rule, ...]] = ()
    kept_empty: ClassVar[frozenset[str]] = frozenset()
    default_values: ClassVar[Mapping[str, Json]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, value: Any) -> Any:
        """As in the API server: null in place of a value that has a default is the default."""
        if not isinstance(value, dict):
            return value
        defaults = {
            name for name, info in cls.model_fields.items() if not info.is_required() and info.default is not None
        }
        return {name: each for name, each in value.items() if each is not None or name not in defaults}

    @model_validator(mode="after")
    def _keep_rules(self) -> Shape:
        for rule in self.rules:
            rule.check(self)
        return self

    def canonical(self) -> dict[str, Json]:
        """As the API server stores it: without empty values and nulls."""
        found = {info.alias or name: canonical(getattr(self, name)) for name, info in type(self).model_fields.items()}
        return {name: value for name, value in found.items() if not self._means_nothing(name, value)}

    def _means_nothing(self, name: str, value: Json) -> bool:
        if value is None or value is False or value == self.default_values.get(name):
            return True
        return value in ("", [], {}) and name not in self.kept_empty


def canonical(value: Any) -> Json:
    if isinstance(value, Shape):
        return value.canonical()
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in value if value[key] is not None}
    return [canonical(item) for item in value] if isinstance(value, list | tuple) else value


def _distinct(items: str, *names: str) -> Rule:
    """The items of a list differ in these fields."""
    remedy = f"two {items} have the same {' and '.join(names)}; keep one of them"
    return Rule("", lambda listed: _all_differ([tuple(getattr(i, n) for n in names) for i in listed]), remedy)


def map_list(items: str, *names: str) -> Checked:
    """An annotation of a list: its items differ in the fields ``names``, which all items have."""
    keys: Json = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [*names]}
    return Checked(_distinct(items, *names), **keys)


def _all_differ(values: list[Any]) -> bool:
    return len(set(values)) == len(values)
