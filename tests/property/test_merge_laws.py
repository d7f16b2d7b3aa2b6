"""Laws of the merge of an adapter's settings: of the class of a kind, of the cluster, of the source."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hooks.pod_settings.merge import merge

LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a"]) | st.lists(st.integers(0, 2))
# As in spec.adapter, a field has either a map or another value: "m" and "n" are maps, "a" and "b" are not.
LEVELS = st.recursive(
    st.fixed_dictionaries({}, optional={"a": LEAVES, "b": LEAVES}),
    lambda inner: st.fixed_dictionaries({}, optional={"a": LEAVES, "b": LEAVES, "m": inner, "n": inner}),
    max_leaves=8,
)
ANY_LEVELS = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("abmn"), inner, max_size=4), max_leaves=12
).filter(lambda value: isinstance(value, dict))
PATHS = st.lists(st.sampled_from("abmn"), min_size=1, max_size=3)


def nested(path: list[str], value: Any) -> Any:
    return {path[0]: nested(path[1:], value)} if path else value


def at(value: Any, path: list[str]) -> Any:
    return reduce(lambda part, name: part[name], path, value)


@given(LEVELS, LEVELS, LEVELS)
def test_merge_of_three_levels_does_not_depend_on_which_two_are_merged_first(a: Any, b: Any, c: Any) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(ANY_LEVELS)
def test_an_empty_level_changes_nothing(level: Any) -> None:
    assert merge({}, level) == merge(level, {}) == merge(level, level) == level


@given(ANY_LEVELS, ANY_LEVELS)
def test_merge_leaves_its_arguments_unchanged(lower: Any, upper: Any) -> None:
    before = deepcopy((lower, upper))
    merge(lower, upper)
    assert (lower, upper) == before


@given(ANY_LEVELS, PATHS)
def test_null_clears_a_value_at_any_depth(lower: Any, path: list[str]) -> None:
    assert at(merge(lower, nested(path, None)), path) is None


@given(ANY_LEVELS, PATHS, ANY_LEVELS)
def test_null_in_the_middle_level_clears_only_the_levels_below(lowest: Any, path: list[str], highest: Any) -> None:
    merged = merge(merge(lowest, nested(path, None)), nested(path, highest))
    assert at(merged, path) == highest


@given(ANY_LEVELS, PATHS, st.lists(st.integers()), st.lists(st.integers()))
def test_the_upper_list_replaces_the_lower_one(lower: Any, path: list[str], below: Any, above: Any) -> None:
    merged = merge(merge(lower, nested(path, below)), nested(path, above))
    assert at(merged, path) == above


@given(LEVELS, LEVELS)
def test_merged_maps_have_the_keys_of_both(lower: Any, upper: Any) -> None:
    assert merge(lower, upper).keys() == lower.keys() | upper.keys()
