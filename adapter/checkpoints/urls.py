"""``CHECKPOINT_URL`` and a source -> its store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from adapter.checkpoints.store import Store
    from adapter.model.source import Source


def checkpoint_key(uid: str, source: Source) -> str:
    """The name of the checkpoint of a source: 32 hexadecimal digits.

    It depends on the uid and on the fields that define the upstream. Defaults are left out, so a new field with a
    default keeps the checkpoint. Secrets count as equal.
    """
    names = type(source).model_fields.keys() - source.fields_that_keep_checkpoint()
    fields = source.model_dump(include=names, exclude_defaults=True, by_alias=True)
    text = json.dumps([uid, _canonical(fields)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _canonical(value: Any) -> Any:
    """The value as JSON, which is the same in each process: sets are sorted, and no text has a memory address."""
    if isinstance(value, Mapping):
        return {str(name): _canonical(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted((_canonical(each) for each in value), key=json.dumps)
    return to_jsonable_python(value, fallback=_stable_text)


def _stable_text(value: object) -> str:
    return type(value).__qualname__ if type(value).__repr__ is object.__repr__ else repr(value)


def is_shared(url: str) -> bool:
    """Whether a new process of the source loads what this one saves, even in another pod."""
    return urlsplit(url).scheme != "file" or urlsplit(url).query == "shared=true"


def open_store(url: str, key: str) -> Store:
    """The store at ``url``; see :func:`adapter.contract.variables.checkpoint_url`. It does not connect yet."""
    from adapter.checkpoints.file import FileStore

    return FileStore(Path(unquote(urlsplit(url).path)) / f"{key}.json", is_shared=is_shared(url))
