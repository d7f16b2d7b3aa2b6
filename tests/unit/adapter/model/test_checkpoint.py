"""``context.checkpoint``: a value, its copies, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from adapter.model.checkpoint import MAX_BYTES, Checkpoint


def test_first_start_loads_none() -> None:
    assert Checkpoint().load() is None


def test_saved_and_loaded_values_are_copies() -> None:
    checkpoint, value = Checkpoint(), {"ids": [1]}
    checkpoint.save(value)
    value["ids"].append(2)
    loaded: Any = checkpoint.load()
    loaded["ids"].append(3)
    assert checkpoint.load() == {"ids": [1]}


def test_restored_value_is_a_copy_too() -> None:
    checkpoint, value = Checkpoint(), {"ids": [1]}
    checkpoint.restore(5, value)
    loaded: Any = checkpoint.load()
    loaded["ids"].append(2)
    assert (checkpoint.load(), checkpoint.version) == ({"ids": [1]}, 5)


def test_each_save_counts_one_version_and_reports_the_change() -> None:
    checkpoint, changes = Checkpoint(), []
    checkpoint.restore(5, None)
    checkpoint.on_change = lambda: changes.append(checkpoint.version)
    checkpoint.save("a")
    checkpoint.save("a")
    checkpoint.save_later(lambda: "b")
    assert (changes, checkpoint.load()) == ([6, 7, 8], "b")


def test_value_is_stored_as_json_stores_it() -> None:
    checkpoint = Checkpoint()
    checkpoint.save({1: ("a", None)})
    assert checkpoint.load() == {"1": ["a", None]}


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": {1, 2}}, math.nan, math.inf, ENDLESS])
def test_value_that_is_not_json_is_a_type_error_and_changes_nothing(value: Any) -> None:
    checkpoint = Checkpoint()
    with pytest.raises(TypeError, match=r"^context\.checkpoint\.save\(\) takes JSON values; "):
        checkpoint.save(value)
    assert (checkpoint.load(), checkpoint.version) == (None, 0)


def test_value_may_have_64_kib_of_json() -> None:
    checkpoint = Checkpoint()
    checkpoint.save("x" * (MAX_BYTES - 2))
    with pytest.raises(ValueError, match=r"has 65537 bytes of JSON; save at most 65536, such as a cursor"):
        checkpoint.save("x" * (MAX_BYTES - 1))
    assert checkpoint.version == 1
