"""``CHECKPOINT_URL`` and a source -> its store."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic_core import to_jsonable_python

from adapter.checkpoints.server import Server
from adapter.contract.declarations import HIDDEN, EnvError
from adapter.contract.egress import DEFAULT_EGRESS, Egress

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


def open_store(url: str, key: str, egress: Egress = DEFAULT_EGRESS, trust_bundles: Path | None = None) -> Store:
    """The store at ``url``; see :func:`adapter.contract.variables.checkpoint_url`. It does not connect yet.

    ``EnvError`` if the URL has parts that its scheme does not have.
    """
    parts = urlsplit(url)
    if parts.fragment:
        raise _invalid("write %23 for each # in it")
    if parts.scheme == "file":
        return _file_store(parts, key)
    server = partial(
        Server,
        host=parts.hostname or "",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        egress=egress,
        trust_bundles=trust_bundles,
    )
    return _postgres_store(parts, key, server) if parts.scheme == "postgresql" else _redis_store(parts, key, server)


def _file_store(parts: SplitResult, key: str) -> Store:
    from adapter.checkpoints.file import FileStore

    if parts.query not in ("", "shared=true") or parts.netloc:
        raise _invalid("write file:///DIRECTORY or file:///DIRECTORY?shared=true")
    return FileStore(Path(unquote(parts.path)) / f"{key}.json", is_shared=bool(parts.query))


def _postgres_store(parts: SplitResult, key: str, server: Callable[..., Server]) -> Store:
    from adapter.checkpoints.postgres import MODES, PostgresStore

    database = unquote(parts.path[1:])
    mode = parts.query.removeprefix("sslmode=") or "prefer"
    if not parts.username or not database:
        raise _invalid("write postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    if mode not in MODES:
        raise _invalid(f"the only parameter is sslmode; write one of {', '.join(MODES)}")
    return PostgresStore(server(port=parts.port or 5432, database=database), key, mode)


def _redis_store(parts: SplitResult, key: str, server: Callable[..., Server]) -> Store:
    from adapter.checkpoints.redis import RedisStore

    database = parts.path.strip("/") or "0"
    if not re.fullmatch("[0-9]{1,9}", database, re.ASCII) or parts.query:
        raise _invalid(f"write {parts.scheme}://USER:PASSWORD@HOST:PORT/NUMBER, with the number of the database")
    return RedisStore(server(port=parts.port or 6379, database=database), key, tls=parts.scheme == "rediss")


def _invalid(expectation: str) -> EnvError:
    return EnvError("CHECKPOINT_URL", HIDDEN, expectation)
