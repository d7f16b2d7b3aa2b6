"""``CHECKPOINT_URL`` and the key of a checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import Field, SecretStr

from adapter.checkpoints.postgres import PostgresStore
from adapter.checkpoints.urls import checkpoint_key, is_shared, open_store
from adapter.contract.declarations import EnvError
from adapter.sdk import Interval, Source


class KeyedSource(Source):
    keeps_checkpoint = ("interval",)

    url: str = "http://upstream"
    interval: Interval = Interval("1m")
    password: SecretStr = SecretStr("")
    labels: set[str] = set()
    page_size: int = Field(100, alias="pageSize")


class NewerSource(KeyedSource):
    """The same kind after an upgrade: it has one more field."""

    proxy: str = ""


def key(uid: str = "uid", kind: type[Source] = KeyedSource, **fields: Any) -> str:
    return checkpoint_key(uid, kind(**fields))


@pytest.mark.parametrize("change", [{"url": "http://other"}, {"labels": {"a"}}, {"pageSize": 7}, {"uid": "other"}])
def test_other_uid_or_upstream_starts_another_checkpoint(change: dict[str, Any]) -> None:
    assert key() != key(**change)


@pytest.mark.parametrize("change", [{"interval": "5s"}, {"url": "http://upstream"}, {"kind": NewerSource}])
def test_other_interval_or_a_new_field_keeps_the_checkpoint(change: dict[str, Any]) -> None:
    assert key() == key(**change)


def test_other_secret_keeps_the_checkpoint() -> None:
    assert key(password="old") == key(password="new")


def test_key_has_32_hexadecimal_digits() -> None:
    assert len(key(url="\ud800")) == 32
    assert set(key()) <= set("0123456789abcdef")


def test_key_is_the_same_in_each_process() -> None:
    """Python orders the items of a set by hashes that differ between processes."""
    code = (
        "from tests.unit.adapter.checkpoints import test_urls as t;"
        "print(t.key(labels={'a', 'b', 'c', 'd', 'e', 'f', 'g'}))"
    )
    keys = set()
    for seed in ("1", "2", "3"):
        env = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()}
        keys.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout)
    assert keys == {f"{key(labels=set('gfedcba'))}\n"}


@pytest.mark.parametrize(
    ("url", "shared"),
    [
        ("file:///checkpoint", False),
        ("file:///checkpoint?shared=true", True),
        ("postgresql://h/d", True),
        ("redis://h", True),
        ("rediss://h", True),
    ],
)
def test_servers_and_shared_directories_outlive_the_pod(url: str, shared: bool) -> None:
    assert is_shared(url) is shared


@pytest.mark.parametrize(
    ("url", "expectation"),
    [
        ("file://host/dir", "write file:///DIRECTORY or file:///DIRECTORY?shared=true"),
        ("file:///dir?shared=yes", "write file:///DIRECTORY or file:///DIRECTORY?shared=true"),
        ("postgresql://host/db", "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("postgresql://s3cret@host", "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        (
            "postgresql://u:s3cret@host/db?sslmode=s3cret",
            "the only parameter is sslmode; write one of disable, prefer, require, verify-ca, verify-full",
        ),
        (
            "postgresql://u:s3cret@host/db?options=s3cret",
            "the only parameter is sslmode; write one of disable, prefer, require, verify-ca, verify-full",
        ),
        ("redis://:s3@cret@host/db", "write redis://USER:PASSWORD@HOST:PORT/NUMBER, with the number of the database"),
        ("rediss://host?s3cret=x", "write rediss://USER:PASSWORD@HOST:PORT/NUMBER, with the number of the database"),
        ("redis://:a#s3cret@host", "write %23 for each # in it"),
    ],
)
def test_invalid_url_is_an_environment_error_that_does_not_show_it(url: str, expectation: str) -> None:
    with pytest.raises(EnvError) as raised:
        open_store(url, "key")
    assert str(raised.value) == f"CHECKPOINT_URL is not valid: {expectation}"


def test_parts_of_a_url_are_decoded() -> None:
    store = open_store("postgresql://u%40x:p%2F%3F@[::1]/d%2Fb?sslmode=require", "key")
    assert isinstance(store, PostgresStore)
    server = store.server
    assert (server.user, server.password, server.database) == ("u@x", "p/?", "d/b")
    assert (str(server), server.port) == ("[::1]:5432", 5432)
    assert "p/?" not in repr(server)
