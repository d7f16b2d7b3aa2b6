"""Trees of objects with nodes that depend on values, and the back end that makes plain documents of them.

A tree consists of maps, lists and scalars of Python. ``helm.py`` is the other back end. ``installation.py`` lists all
trees, ``values.py`` all values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.contract.formats import Json

Values = Mapping[str, Any]
Tree = Any  # maps, lists, scalars, and the nodes of this module
NAMESPACE = "namespace"  # the one value that is not a value of the chart: Helm has its own option for it
ITEM = "."  # the key of the current item of ``Each``
_ABSENT = object()


@dataclass(frozen=True)
class Leaf:
    """A scalar, list or map that depends on values. ``helm``: a pipeline of Helm's template language."""

    helm: str
    plain: Callable[[Values], Json]


class Value(Leaf):
    """The value at a path, such as ``tls.secretName``."""

    def __init__(self, path: str) -> None:
        super().__init__(pipeline(path), lambda values: value_at(values, path))


def has(path: str, item: str) -> Leaf:
    """A condition: the list at ``path`` contains ``item``."""
    return Leaf(f'(has "{item}" {pipeline(path)})', lambda values: item in value_at(values, path))


class If:
    """``content`` if ``condition`` holds, else ``otherwise``.

    The node is a whole document, the value of a key or the item of a list. Without ``otherwise``, the document, the key
    or the item is then missing. ``condition``: a leaf, or the path of a value, that must be true or not empty.
    """

    def __init__(self, condition: str | Leaf, content: Tree, otherwise: Tree = _ABSENT) -> None:
        self.condition = Value(condition) if isinstance(condition, str) else condition
        self.content, self.otherwise = content, otherwise

    @property
    def has_otherwise(self) -> bool:
        return self.otherwise is not _ABSENT

    @property
    def helm(self) -> str:
        return self.condition.helm

    def chosen(self, values: Values) -> Iterator[Tree]:
        """``content``, ``otherwise`` or nothing."""
        if self.condition.plain(values):
            yield self.content
        elif self.has_otherwise:
            yield self.otherwise


@dataclass(frozen=True)
class Each:
    """In a list: one item for each item of the list at ``path``. Leaves in ``content`` find it at ``values[ITEM]``."""

    path: str
    content: Tree


@dataclass(frozen=True)
class Text:
    """A string of parts. Values in it must not contain quotes or backslashes: restrict them in the schema."""

    parts: tuple[str | Leaf | If, ...]


def text(*parts: str | Leaf | If) -> Text:
    return Text(parts)


def pipeline(path: str) -> str:
    return "$.Release.Namespace" if path == NAMESPACE else f"$.Values.{path}"


def value_at(values: Values, path: str) -> Any:
    found: Any = values
    for name in path.split("."):
        found = found[name]
    return found


def plain(tree: Tree, values: Values) -> Json:
    """The value of a tree that is neither ``If`` nor ``Each``."""
    [value] = _plain(tree, values)
    return value


def documents(trees: list[Tree], values: Values) -> list[Json]:
    return [document for tree in trees for document in _plain(tree, values)]


def _plain(tree: Tree, values: Values) -> Iterator[Json]:
    match tree:
        case If():
            for chosen in tree.chosen(values):
                yield from _plain(chosen, values)
        case Each():
            for item in value_at(values, tree.path):
                yield from _plain(tree.content, {**values, ITEM: item})
        case Leaf():
            yield tree.plain(values)
        case Text():
            yield "".join(str(part) for each in tree.parts for part in _plain(each, values))
        case Mapping():
            yield {key: value for key, each in tree.items() for value in _plain(each, values)}
        case list():
            yield [value for each in tree for value in _plain(each, values)]
        case _:
            yield tree
