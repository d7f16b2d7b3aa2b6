"""Makes templates of Helm from trees. What no value changes is dumped as YAML.

Values are rendered as JSON, which is YAML on one line: no value can break the structure of a document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from textwrap import indent
from typing import Any

from metacontroller.generate.tree import Each, If, Leaf, Text, Tree
from sources_cli.admission import yaml

LABELS = '{{- include "sample-source.labels" $ | nindent 4 }}'


def template(trees: list[Tree], header: str) -> str:
    """A file with one document for each tree. All of them get the labels of the chart."""
    comment = f"{{{{- /*\n{header}\n*/}}}}\n"
    return comment + "\n".join(_documents(trees)) + "\n"


def escaped(text: str) -> str:
    """``text`` so that Helm prints it unchanged."""
    return text.replace("{{", '{{ "{{" }}')


def _documents(trees: list[Tree]) -> Iterator[str]:
    """Neighbours with the same condition share it."""
    for condition, group in groupby(trees, lambda tree: tree.helm if isinstance(tree, If) else None):
        if condition is None:
            yield from (line for tree in group for line in _document(tree))
        else:
            yield f"{{{{- if {condition} }}}}"
            yield from _documents([tree.content for tree in group])
            yield "{{- end }}"


def _document(tree: Tree) -> Iterator[str]:
    metadata = tree["metadata"]
    labels = _Lines([*_labels(metadata.get("labels", {})), LABELS])
    yield "---"
    yield from _map({**tree, "metadata": {**metadata, "labels": labels}})


def _labels(own: Tree) -> Iterator[str]:
    """``own``: a map, or ``If`` around a value that is one."""
    if isinstance(own, If):
        yield f"{{{{- if {own.helm} }}}}"
        yield f"{{{{- {own.content.helm} | toYaml | nindent 4 }}}}"
        yield "{{- end }}"
    else:
        yield from _map(own)


class _Lines(list[str]):
    """A part that is rendered already."""


def _map(tree: Mapping[str, Tree]) -> Iterator[str]:
    for key, value in tree.items():
        yield from _conditional(value, key)


def _conditional(value: Tree, key: str | None) -> Iterator[str]:
    """``value`` at a key of a map, or as an item of a list if ``key`` is None, with its conditions around it."""
    match value:
        case If():
            yield f"{{{{- if {value.helm} }}}}"
            yield from _conditional(value.content, key)
            if value.has_otherwise:
                yield "{{- else }}"
                yield from _conditional(value.otherwise, key)
            yield "{{- end }}"
        case Each():
            yield f"{{{{- range $.Values.{value.path} }}}}"
            yield from _conditional(value.content, key)
            yield "{{- end }}"
        case _:
            yield from _item(value) if key is None else _entry(key, value)


def _entry(key: str, value: Tree) -> Iterator[str]:
    if not _has_nodes(value):
        yield from _dumped({key: value})
    elif isinstance(value, Leaf | Text):
        yield f"{_dumped_key(key)} {_scalar(value)}"
    else:
        yield _dumped_key(key)
        yield from _indented(_block(value))


def _item(value: Tree) -> Iterator[str]:
    if not _has_nodes(value):
        yield from _dumped([value])
    elif isinstance(value, Leaf | Text):
        yield f"- {_scalar(value)}"
    else:
        first, *rest = _indented(_block(value))
        yield from ["-", first] if first.startswith("  {{-") else [f"- {first[2:]}"]
        yield from rest


def _block(tree: Tree) -> Iterator[str]:
    match tree:
        case _Lines():
            yield from tree
        case Mapping():
            _require_unconditional(list(tree.values()), tree)
            yield from _map(tree)
        case list():
            _require_unconditional(tree, tree)
            for each in tree:
                yield from _conditional(each, None)


def _require_unconditional(values: list[Tree], tree: Tree) -> None:
    """Without a line, YAML reads null, and not an empty map or list."""
    if all(isinstance(each, If | Each) for each in values):
        raise ValueError(f"each part of {tree!r} has a condition; write If around the whole")


def _scalar(value: Leaf | Text) -> str:
    if isinstance(value, Leaf):
        return f"{{{{ {value.helm} | toJson }}}}"
    return f'"{"".join(map(_part, value.parts))}"'


def _part(part: str | Leaf | If) -> str:
    match part:
        case Leaf():
            return f"{{{{ {part.helm} }}}}"
        case If():
            otherwise = f"{{{{ else }}}}{_part(part.otherwise)}" if part.has_otherwise else ""
            return f"{{{{ if {part.helm} }}}}{_part(part.content)}{otherwise}{{{{ end }}}}"
        case Text():
            return "".join(map(_part, part.parts))
        case _:
            return escaped(json.dumps(part)[1:-1])


def _dumped(value: Any) -> Iterator[str]:
    yield from escaped(yaml.dump([value])).splitlines()


def _dumped_key(key: str) -> str:
    [line] = _dumped({key: 0})
    return line.removesuffix(" 0")


def _indented(lines: Iterator[str]) -> Iterator[str]:
    yield from (indent(line, "  ") for line in lines)


def _has_nodes(tree: Tree) -> bool:
    match tree:
        case Leaf() | If() | Each() | Text() | _Lines():
            return True
        case Mapping():
            return any(map(_has_nodes, tree.values()))
        case list():
            return any(map(_has_nodes, tree))
        case _:
            return False
