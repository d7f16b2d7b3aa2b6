"""The differences of two sets of documents: JSON patches, and the places that depend on a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapter.contract.formats import Json

Id = tuple[str, str]  # kind and name of an object
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """``old`` or ``new`` is None if the value is added or removed. The index of an added item is ``-``: the end."""

    path: Path
    old: Json
    new: Json

    @property
    def operation(self) -> Json:
        """In the form of RFC 6902."""
        path = "".join(f"/{str(name).replace('~', '~0').replace('/', '~1')}" for name in self.path)
        if self.new is None:
            return {"op": "remove", "path": path}
        return {"op": "add" if self.old is None else "replace", "path": path, "value": self.new}


def identity(document: Json) -> Id:
    return document["kind"], document["metadata"]["name"]


def changes(old: Sequence[Json], new: Sequence[Json]) -> dict[Id, list[Change]]:
    """The changes of the objects that are in both. Empty for those that are equal."""
    before = {identity(document): document for document in old}
    return {
        identity(document): list(differences(before[identity(document)], document))
        for document in new
        if identity(document) in before
    }


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if key in old and key in new:
                yield from differences(old[key], new[key], (*path, key))
            else:
                yield Change((*path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from differences(before, after, (*path, index))
        yield from (Change((*path, "-"), None, added) for added in new[len(old) :])
    else:
        yield Change(path, old, new)
