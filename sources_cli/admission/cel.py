"""Evaluates CEL rules of a CRD (``x-kubernetes-validations``) as the API server does when an object is created. Pure.

cel-python does the work. This module gives values the CEL types that the API server gives them, adds Kubernetes' URL
functions, and replaces the functions in which cel-python differs from Kubernetes.
https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import itertools
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, quote

from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError, CELParser
from celpy.evaluation import Activation, CELEvalError, Evaluator, base_functions, function_matches
from lark import Tree

from adapter.contract.durations import parse_duration
from adapter.contract.formats import Json
from hooks.pod_settings.quantities import parse as parse_quantity
from sources_cli.admission.go_url import absolute_url, request_uri

Value = Any  # a value of cel-python, or an error as a value
STEP_LIMIT = 100_000  # about one second; the API server limits the cost of an evaluation, too
DEPTH_LIMIT = 120  # of a syntax tree; each level takes six of the 1000 calls that Python allows
_MACROS = frozenset(("all", "exists", "exists_one", "filter", "map"))
_DEFINED = frozenset(("self", "oldSelf", "has", "dyn")) | _MACROS
_KEYWORDS = frozenset(  # of CEL; a field of this name is escaped
    (
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    )
)  # fmt: skip
_STRING = re.compile(r"""[rR]("[^"]*"|'[^']*')|(?P<q>'{3}|"{3}|'|")(\\.|(?!(?P=q))[^\\])*+(?P=q)""", re.DOTALL)
_FIELD_PATH = re.compile(r"\.([^.\[\]]+)|\['([^']+)'\]")
logging.getLogger("celpy").setLevel(logging.CRITICAL)  # cel-python also logs the errors that it raises


def unsupported(rule: Json) -> str | None:
    """Why ``rule`` cannot be evaluated here, or None."""
    if rule.get("optionalOldSelf"):
        return "cel-python does not support optionalOldSelf"
    try:
        unknown = _unknown_names(rule["rule"])
    except CELParseError:
        return "cel-python cannot parse it"
    if _depth(rule["rule"]) > DEPTH_LIMIT:
        return "cel-python cannot evaluate so deep a nesting"
    return f"cel-python does not support {', '.join(sorted(unknown))}" if unknown else None


@dataclass(frozen=True)
class Failure:
    message: str  # from the rule
    error: str = ""  # why the rule could not be evaluated


def failure(rule: Json, schema: Json, value: Json) -> Failure | None:
    """How ``value`` breaks ``rule``, or None. ``schema`` describes ``value``.

    As in the API server, an error during the evaluation counts as a broken rule, and a rule with ``oldSelf`` applies
    to updates only. An unsupported rule is not evaluated.
    """
    if unsupported(rule) or "oldSelf" in _identifiers(_parsed(rule["rule"])):
        return None
    try:
        if _evaluate(rule["rule"], schema, value):
            return None
        reason = ""
    except Exception as error:  # an invalid rule can cause any error in cel-python
        reason = str(error.__cause__ or (*error.args, error)[0])
    return Failure(_message(rule, schema, value), reason)


def field_path(rule: Json) -> tuple[str, ...]:
    """The rule's ``fieldPath``: ``.sink['a.b']`` is ("sink", "a.b")."""
    return tuple(plain or quoted for plain, quoted in _FIELD_PATH.findall(rule.get("fieldPath", "")))


def matches(text: str, pattern: str) -> Value:
    """Whether ``text`` contains a match of ``pattern`` (RE2). As in Go, ``\\pC`` includes unassigned characters."""
    if r"\pC" in pattern:
        text = "".join("\ue000" if unicodedata.category(char) == "Cn" else char for char in text)
    return function_matches(text, pattern)


def _message(rule: Json, schema: Json, value: Json) -> str:
    """The value of ``messageExpression`` if it is one line of text, else ``message``."""
    with suppress(Exception):  # an invalid expression can cause any error in cel-python
        text = _evaluate(rule["messageExpression"], schema, value)
        if text.strip() and "\n" not in text:
            return str(text)
    return str(rule.get("message") or f"failed rule: {rule['rule']}")


def _evaluate(expression: str, schema: Json, value: Json) -> Value:
    evaluator = _Evaluator(_parsed(expression), Activation(functions=_FUNCTIONS), itertools.count())
    return evaluator.evaluate({"self": _typed(schema, value)})


@cache
def _parsed(expression: str) -> Tree[Any]:
    """``CELParseError`` for an invalid expression."""
    if re.search("['\"]", _STRING.sub("", expression)):  # cel-python needs exponential time for an unterminated string
        raise CELParseError("unterminated string")
    return CELParser().parse(expression)


@cache
def _depth(expression: str) -> int:
    """How many levels the syntax tree has: ten for each pair of parentheses, one for each ``||`` of a chain."""
    depth, level = 0, [_parsed(expression)]
    while level:
        depth, level = depth + 1, [node for tree in level for node in tree.children if isinstance(node, Tree)]
    return depth


class _Evaluator(Evaluator):
    """Limits the number of steps, and evaluates ``has()`` as the API server does."""

    def __init__(self, ast: Tree[Any], activation: Activation, steps: Iterator[int]) -> None:
        super().__init__(ast, activation)
        self._steps = steps

    def sub_evaluator(self, ast: Tree[Any]) -> Evaluator:
        return _Evaluator(ast, self.activation, self._steps)

    def visit_children(self, tree: Tree[Any]) -> list[Value]:
        if next(self._steps) > STEP_LIMIT:
            raise RuntimeError(f"more than {STEP_LIMIT} steps")
        return super().visit_children(tree)

    def macro_has_eval(self, exprlist: Tree[Any]) -> Value:
        """``has(a.b.c)`` is an error, and not false, where ``a.b`` is absent."""
        selections = [*exprlist.find_data("member_dot")]  # the outermost is the last
        operand = self.visit(selections[-1].children[0]) if selections else None
        return operand if isinstance(operand, CELEvalError) else super().macro_has_eval(exprlist)


def _identifiers(tree: Tree[Any]) -> set[str]:
    return {str(node.children[0]) for node in tree.find_data("ident")}


@cache
def _unknown_names(expression: str) -> set[str]:
    """Functions and variables that are not defined here."""
    tree = _parsed(expression)
    methods = [node.children[1:] for node in tree.find_data("member_dot_arg")]
    functions = {str(node.children[0]) for node in tree.find_data("ident_arg")} | {str(name) for name, *_ in methods}
    macros = [arguments[0].children for name, *arguments in methods if name in _MACROS and arguments]
    variables = [_identifiers(variable) for variable, *body in macros if len(body) == 1]
    return functions.union(_identifiers(tree)).difference(_DEFINED, _FUNCTIONS, *variables)


def _typed(schema: Json, value: Json) -> Value:
    """The value as the API server gives it to CEL."""
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        inner = {key: fields.get(key, schema.get("additionalProperties")) or {} for key in value}
        names = {key: _escaped(key) if key in fields else key for key in value}
        return celtypes.MapType({celtypes.StringType(names[key]): _typed(inner[key], value[key]) for key in value})
    if isinstance(value, list):
        return celtypes.ListType([_typed(schema.get("items", {}), item) for item in value])
    if schema.get("format") in ("date", "date-time"):
        return celtypes.TimestampType(value)
    convert: Any = {"integer": celtypes.IntType, "number": celtypes.DoubleType}.get(schema.get("type"), json_to_cel)
    return convert(value)


def _escaped(field: str) -> str:
    """The name of a field in CEL: ``ephemeral-storage`` is ``ephemeral__dash__storage``."""
    if field in _KEYWORDS:
        return f"__{field}__"
    for text, escape in (("__", "underscores"), (".", "dot"), ("-", "dash"), ("/", "slash")):
        field = field.replace(text, f"__{escape}__")
    return field


def _quantity(text: str) -> Value:
    try:
        return parse_quantity(text)
    except ValueError:
        return CELEvalError("not a quantity")


def _duration(text: str) -> Value:
    """Supports all units of Go; cel-python does not support "µs". Fractions of a microsecond are cut off."""
    return celtypes.DurationType(timedelta(microseconds=parse_duration(text) // 1000))


def _comparing(name: str) -> Callable[[Value, Value], Value]:
    """Compares an integer with a double by value. For other different types, ``==`` is false instead of an error."""
    compare = base_functions[name]

    def compared(left: Value, right: Value) -> Value:
        if {type(left), type(right)} == {celtypes.IntType, celtypes.DoubleType}:
            left, right = celtypes.DoubleType(left), celtypes.DoubleType(right)
        try:
            return compare(left, right)
        except TypeError:
            if name not in ("_==_", "_!=_"):
                raise
            return celtypes.BoolType(name == "_!=_")

    return compared


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    **base_functions,
    **{name: _comparing(name) for name in ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")},
    "matches": matches,
    "duration": _duration,
    "isQuantity": lambda text: celtypes.BoolType(not isinstance(_quantity(text), CELEvalError)),
    "quantity": _quantity,
    "compareTo": lambda left, right: celtypes.IntType((left > right) - (left < right)),
    "isURL": lambda text: celtypes.BoolType(request_uri(text) is not None),
    "url": lambda text: absolute_url(text) or CELEvalError("not a URL"),
    "getScheme": lambda url: celtypes.StringType(url.scheme),
    "getHost": lambda url: celtypes.StringType(url.host),
    "getHostname": lambda url: celtypes.StringType(url.hostname),
    "getPort": lambda url: celtypes.StringType(url.port),
    "getEscapedPath": lambda url: celtypes.StringType(quote(url.path, safe="/%:@!$&'()*+,;=~-._")),
    "getQuery": lambda url: json_to_cel(parse_qs(url.query, keep_blank_values=True)),
}
