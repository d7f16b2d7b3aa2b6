"""JMESPath with limits on the time and memory of an evaluation.

Two limits are needed. :func:`check_expression` limits how often an expression copies its input, because the copies
share memory until they are written as JSON: each ``[@, @]`` doubles that text. :class:`Evaluation` counts the steps of
a poll, because each item takes as many steps as the expression has parts.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from adapter.contract.formats import Json
from adapter.polling.errors import PollFailed

MAX_COPIES = 100
MAX_DEPTH = 100  # of parts inside each other; Python's stack has 1000 frames, and each part takes several
MAX_STEPS = 400_000  # of one poll; a step takes about 1 us and adds at most about 80 bytes to a result
_MEMBERS_A_STEP, _CHARACTERS_A_STEP = 8, 64  # of a result; lists and texts are built faster than one value a step
_FROM_LEFT = (
    "subexpression",
    "index_expression",
    "pipe",
    "flatten",
    "projection",
    "value_projection",
    "filter_projection",
)
_BUILDS = ("literal", "function_expression", "multi_select_list", "multi_select_dict")


def check_expression(text: str) -> str:
    """``ValueError`` says what to write if the text is not JMESPath or is too expensive."""
    try:
        node = parsed(text)
        depth, copies = _depth(node), _copies(node)
    except JMESPathError as error:
        reason = str(error).splitlines()[0].removeprefix("Invalid jmespath expression: ").rstrip(": ")
        raise ValueError(f'write a JMESPath expression like "data.items" ({reason})') from None
    except RecursionError:
        depth, copies = MAX_DEPTH + 1, 1
    if depth > MAX_DEPTH:
        raise ValueError(f"the expression has more than {MAX_DEPTH} parts inside each other; write a simpler one")
    if unknown := _functions(node) - Functions.FUNCTION_TABLE.keys():
        raise ValueError(f"JMESPath has no function {min(unknown)}(); it has {', '.join(Functions.FUNCTION_TABLE)}")
    if copies > MAX_COPIES:
        raise ValueError(
            f"the expression can copy its input more than {MAX_COPIES} times; select each part of the input once"
        )
    return text


class Evaluation(TreeInterpreter):
    """Evaluates the expressions of one poll, with ``steps`` for all of them together.

    ``max_bytes``: size of the largest value that an expression may build.
    """

    def __init__(self, max_bytes: int, steps: int = MAX_STEPS) -> None:
        super().__init__(Options(custom_functions=_LimitedFunctions(max_bytes)))
        self._max_bytes = max_bytes
        self._steps, self._left = steps, steps

    def search(self, field: str, expression: str, value: Json, *, check_members: bool = False) -> Json:
        """The result. ``PollFailed`` names ``field``, but holds no data.

        ``check_members``: each member of the result must be at most ``max_bytes`` long as JSON. A response cannot hold
        a longer one, but an expression can build it.
        """
        try:
            node = parsed(expression)
            if node["type"] == "field" and self._left > 0:  # the usual id, for each item of each poll
                self._left -= 1
                return self.visit_field(node, value)
            result = self.visit(node, value)
            if check_members and isinstance(result, list) and _builds(expression):
                for member in result:
                    _check_size(member, self._max_bytes)
            return result
        except _TooExpensive as error:
            raise PollFailed(f'{field} "{_cut(expression)}" {error}') from None
        except Exception as error:  # jmespath also raises errors of Python, like TypeError; the text contains data
            reason = f"does not fit the response ({type(error).__name__})"
            raise PollFailed(f'{field} "{_cut(expression)}" {reason}') from None

    def visit(self, node: Any, *args: Any) -> Any:
        """Evaluate one part of an expression. jmespath calls this for each part and each member of a list."""
        result = getattr(self, "visit_" + node["type"])(node, *args)
        if result.__class__ is str:
            cost = 1 + len(result) // _CHARACTERS_A_STEP
        elif result.__class__ is list:
            cost = 1 + len(result) // _MEMBERS_A_STEP
        else:
            cost = 1
        self._left = left = self._left - cost
        if left < 0:
            raise _TooExpensive(f"takes more than {self._steps} steps; select fewer items, or write a shorter one")
        return result


class _TooExpensive(Exception):
    """The text says what to change."""


class _LimitedFunctions(Functions):
    """``join`` and ``to_string`` can make a text that is much longer than their arguments. They check it before."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        _check_size(texts, self._max_bytes - len(separator) * len(texts))
        return separator.join(texts)

    @signature({"types": []})
    def _func_to_string(self, value: Json) -> str:
        _check_size(value, self._max_bytes)
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


def _check_size(value: Json, limit: int) -> int:
    """``limit`` minus the least number of characters of the value as JSON. A shared value counts each time."""
    limit -= 1
    if isinstance(value, str):
        limit -= len(value)
    if limit < 0:
        raise _TooExpensive("builds a value that is longer than maxBytes; select less")
    if isinstance(value, dict):
        for key, member in value.items():
            limit = _check_size(member, limit - len(key))
    elif isinstance(value, list):
        for member in value:
            limit = _check_size(member, limit)
    return limit


@lru_cache(8)  # jmespath.search would make a parser for every item
def parsed(expression: str) -> Any:
    """The syntax tree. Raises ``JMESPathError`` or ``RecursionError``."""
    return jmespath.compile(expression).parsed


@lru_cache(8)
def _builds(expression: str) -> bool:
    """Whether the result can contain values that are not in the input as they are."""

    def builds(node: Any) -> bool:
        selecting = node["children"][:2] if node["type"] == "filter_projection" else node["children"]
        return node["type"] in _BUILDS or any(builds(child) for child in selecting if isinstance(child, dict))

    return builds(parsed(expression))


def _children(node: Any) -> list[Any]:
    return [child for child in node["children"] if isinstance(child, dict)]  # those of a slice are numbers


def _functions(node: Any) -> set[str]:
    own = {node["value"]} if node["type"] == "function_expression" else set()
    return own.union(*(_functions(child) for child in _children(node)))


def _depth(node: Any) -> int:
    return 1 + max(map(_depth, _children(node)), default=0)


def _copies(node: Any) -> int:
    """An upper limit of how often one part of the input can be in the result. At least 1.

    Parts of an expression that are evaluated one after the other, or for each member, multiply. Fields of different
    names hold different parts of the input, so they do not add up.
    """
    type, children = node["type"], _children(node)
    if type.startswith("multi_select"):
        return _copies_of_members(
            [child["children"][0] if child["type"] == "key_val_pair" else child for child in children]
        )
    if type in ("comparator", "or_expression", "and_expression", "not_expression"):
        return max(map(_copies, children))
    if type == "function_expression":
        values = [_copies(child) for child in children if child["type"] != "expref"]
        for_each = math.prod(_copies(child) for child in children if child["type"] == "expref")
        return for_each * (sum(values) if node["value"] == "merge" else max(values, default=1))
    return math.prod(map(_copies, children))


def _copies_of_members(members: list[Any]) -> int:
    """The copies in a list or hash that an expression makes."""
    sums: Counter[str] = Counter()  # field -> copies of it
    largest = 1
    for member in members:
        copies = _copies(member)
        largest = max(largest, copies)
        if member["type"] not in ("comparator", "not_expression", "literal"):  # these hold nothing of the input
            sums[_first_field(member)] += copies
    of_everything = sums.pop("", 0)
    return max(largest, of_everything + max(sums.values(), default=0))


def _first_field(node: Any) -> str:
    """The field of the input that an expression begins with, or "" if it may use the whole input."""
    while node["type"] in _FROM_LEFT:
        node = node["children"][0]
    return str(node["value"]) if node["type"] == "field" else ""


def _cut(expression: str) -> str:
    """The start of the expression: the reason of a failed poll has 200 characters for all."""
    return expression if len(expression) <= 60 else expression[:60] + "…"
