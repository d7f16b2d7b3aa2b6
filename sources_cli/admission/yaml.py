"""Reads and writes YAML 1.1 as ``kubectl`` does (go-yaml v2): ``y`` is true, ``1e3`` a number, times are strings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from adapter.contract.formats import Json

Path = tuple[str | int, ...]
MAX_VALUES = 100_000  # of one document, after its aliases were replaced
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


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _resolvers()
    yaml_constructors = {  # without those of values that JSON does not have, like !!binary and !!set
        tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag in _JSON_TAGS
    }
    bool_values = _BOOL


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _resolvers()

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # indents lists below their key, as in Kubernetes' documentation


def _represent_str(dumper: yaml.SafeDumper, text: str) -> ScalarNode:
    plain = all(char.isprintable() or char == "\n" for char in text) and not _is_special(text)
    style = '"' if not plain else "|" if "\n" in text.rstrip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_special(text: str) -> bool:
    return any(pattern.match(text) for _, pattern in _Dumper.yaml_implicit_resolvers.get(text[:1], ()))


_Dumper.add_representer(str, _represent_str)


class BrokenYAML(ValueError):
    """``line``: counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True)
class YamlDocument:
    value: Json
    lines: dict[Path, int]  # path -> line of its key or item, counted from 1; () is the document itself

    def line(self, path: Path) -> int:
        """The line of the value at ``path``, or of the closest value around it if the document has none there."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def member(self, path: Path) -> YamlDocument:
        """The value at ``path`` as a document of its own."""
        value, depth = self.value, len(path)
        for part in path:
            value = value[part]
        lines = {inner[depth:]: line for inner, line in self.lines.items() if inner[:depth] == path}
        return YamlDocument(value, lines)


def load(text: str) -> list[YamlDocument]:
    """The documents that are not empty. ``BrokenYAML`` also for a repeated key, which kubectl rejects."""
    try:
        return list(_documents(_Loader(text)))
    except BrokenYAML:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BrokenYAML(mark.line + 1 if mark else 1, str(error.problem)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BrokenYAML(1, str(error).splitlines()[0]) from None


def _documents(loader: _Loader) -> Iterator[YamlDocument]:
    while loader.check_node():
        node = loader.get_node()
        assert node is not None
        lines = dict(islice(_lines(node, ()), MAX_VALUES + 1))
        if len(lines) > MAX_VALUES:  # a few lines of aliases can stand for billions of values
            raise BrokenYAML(node.start_mark.line + 1, f"the document has more than {MAX_VALUES} values")
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
            name = str(key.value)
            line = key.start_mark.line + 1
            if name in seen and name != "<<":
                raise BrokenYAML(line, f'key "{name}" already set in map')
            seen.add(name)
            yield (*path, name), line
            yield from _lines(value, (*path, name))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(item, (*path, index))
