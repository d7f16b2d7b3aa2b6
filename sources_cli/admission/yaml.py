"""Reads and writes YAML 1.1 as ``kubectl`` does (go-yaml v2): ``y`` is true, ``1e3`` a number, times are strings.

A text that is small but stands for a large value is refused before that value is built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from adapter.contract.formats import Json, is_visible, quoted

Path = tuple[str | int, ...]
MAX_VALUES = 200_000  # keys and values of one document, after its aliases were replaced
MAX_DEPTH = 100  # lists and maps inside each other
# go-yaml v2, decode.go: from 1,000 values on, at most 99 of 100 may come from aliases (up to 400,000 values).
FREE_VALUES, FREE_ALIASED, ALIASED_SHARE = 1_000, 100, 0.99
_INT64, _UINT64 = -(2**63), 2**64 - 1
_STR, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_JSON_TAGS = {None, *(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map"))}
_BOOL = {"yes": True, "y": True, "true": True, "on": True, "no": False, "n": False, "false": False, "off": False}
_RESOLVERS = (
    ("tag:yaml.org,2002:bool", "|".join(f"{word}|{word.title()}|{word.upper()}" for word in _BOOL), "yYtToOnNfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("tag:yaml.org,2002:null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", "<<", ["<"]),
)


def _resolvers() -> dict[Any, list[tuple[str, re.Pattern[str]]]]:
    table: dict[Any, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in _RESOLVERS:
        for first in firsts:
            table.setdefault(first, []).append((tag, re.compile(f"(?:{pattern})$")))
    return table


class BrokenYAML(ValueError):
    """``line``: counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Counts the values of a document while it reads the text: an alias counts as much as the value that it repeats."""

    yaml_implicit_resolvers = _resolvers()
    yaml_constructors = {  # without those of values that JSON does not have, like !!binary and !!set
        tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag in _JSON_TAGS
    }
    bool_values = _BOOL

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values, self._aliased = 0, 0  # of the current document
        self._sizes: dict[Node, int] = {}  # node -> its number of values

    def compose_document(self) -> Node | None:
        self._values, self._aliased, self._sizes = 0, 0, {}
        return super().compose_document()

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML gives it no types
        before, line = self._values, event.start_mark.line + 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BrokenYAML(line, f"lists and maps are more than {MAX_DEPTH} levels deep")
        node = super().compose_node(parent, index)
        assert node is not None
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if node not in self._sizes:
                raise BrokenYAML(line, f"the value of anchor {quoted(event.anchor)} contains itself")
            self._values += self._sizes[node]
            self._aliased += self._sizes[node]
        else:
            self._values += 1
            self._sizes[node] = self._values - before
        self._check_size(line)
        return node

    def _check_size(self, line: int) -> None:
        many = self._values > FREE_VALUES and self._aliased > FREE_ALIASED
        if many and self._aliased > ALIASED_SHARE * self._values:
            raise BrokenYAML(line, "the document contains excessive aliasing; write the values instead of aliases")
        if self._values > MAX_VALUES:
            raise BrokenYAML(line, f"the document has more than {MAX_VALUES} keys and values; split it")

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return _json_value(super().construct_object(node, deep))
        except (ValueError, LookupError, OverflowError):  # of a scalar whose tag does not fit it, such as !!int ""
            name = node.tag.rpartition(":")[2]
            problem = f"{quoted(node.value)} is not a value of type {name} that JSON can hold"
            raise BrokenYAML(node.start_mark.line + 1, problem) from None


def _json_value(value: Any) -> Any:
    """As go-yaml, makes a number of more than 64 bits a float. ``ValueError`` for infinity and half characters."""
    if isinstance(value, int) and not _INT64 <= value <= _UINT64:
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, str) and not value.isascii():  # JSON writes a character beyond U+FFFF as two escapes
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    return value


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _resolvers()

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # indents lists below their key, as in Kubernetes' documentation

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        """Only strings with invisible characters have these quotes. All their characters beyond ASCII are escaped."""
        self.allow_unicode = False
        super().write_double_quoted(text, split)
        self.allow_unicode = True


def _represent_str(dumper: yaml.SafeDumper, text: str) -> ScalarNode:
    plain = all(is_visible(char) or char == "\n" for char in text) and not _is_special(text)
    style = '"' if not plain else "|" if "\n" in text.rstrip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_special(text: str) -> bool:
    return any(pattern.match(text) for _, pattern in _Dumper.yaml_implicit_resolvers.get(text[:1], ()))


_Dumper.add_representer(str, _represent_str)


@dataclass(frozen=True)
class YamlDocument:
    value: Json
    lines: dict[Path, int]  # path -> line of its key or item, counted from 1; () is the document itself

    def line(self, path: Path) -> int:
        """The line of the value at ``path``, or of the closest value around it if the document has none there."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def items(self, key: str) -> Iterator[YamlDocument]:
        """The items of the list at ``key``, each as a document of its own. None if there is no list."""
        items = self.value.get(key)
        lines: dict[str | int, dict[Path, int]] = {}
        for path, line in self.lines.items():
            if len(path) > 1 and path[0] == key:
                lines.setdefault(path[1], {})[path[2:]] = line
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield YamlDocument(item, lines[index])


def load(text: str) -> list[YamlDocument]:
    """The documents that are not empty. ``BrokenYAML`` also for a repeated key, which kubectl rejects."""
    loader = None
    try:
        loader = _Loader(text)
        return list(_documents(loader))
    except BrokenYAML:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BrokenYAML(mark.line + 1 if mark else 1, str(error.problem)) from None
    except yaml.reader.ReaderError as error:
        raise BrokenYAML(text.count("\n", 0, error.position) + 1, str(error).splitlines()[0]) from None
    except Exception as error:  # PyYAML raises other errors for some texts, such as "\U99999999"
        problem = " ".join(str(error).split()) or type(error).__name__
        raise BrokenYAML(loader.line + 1 if loader else 1, problem) from None


def _documents(loader: _Loader) -> Iterator[YamlDocument]:
    while loader.check_node():
        node = loader.get_node()
        assert node is not None
        lines = dict(_lines(node, ()))
        value = loader.construct_document(node)
        if value is not None:
            yield YamlDocument(value, {(): node.start_mark.line + 1, **lines})


def dump(documents: Iterable[Json], *, header: str = "") -> str:
    """``header``: the lines of a comment at the top, without ``#``."""
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    bodies = [
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)
        for document in documents
    ]
    return comment + "---\n".join(bodies)


def _lines(node: Node, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = _key(key, line)
            if name in seen and key.tag != _MERGE:
                raise BrokenYAML(line, f"key {quoted(name)} already set in map")
            seen.add(name)
            yield (*path, name), line
            yield from _lines(value, (*path, name))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(item, (*path, index))


def _key(node: Node, line: int) -> str:
    if not isinstance(node, ScalarNode):
        what = "list" if isinstance(node, SequenceNode) else "map"
        raise BrokenYAML(line, f"a key is a {what}; write a string")
    if node.tag not in (_STR, _MERGE):
        raise BrokenYAML(line, f"key {quoted(node.value)[1:-1]} is not a string; put it in quotes")
    return str(node.value)
