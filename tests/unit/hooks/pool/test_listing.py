"""The list of a pool's sources is read object by object, whatever its form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.pool.listing import Body, NotAList, owner

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
groups = st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=5), json_values, max_size=4), max_size=3)
bodies = st.fixed_dictionaries({"related": st.none() | groups}, optional={"parent": json_values, "a": json_values})


@given(bodies, st.sampled_from([None, 1]), st.booleans())
def test_members_and_related_objects_are_those_of_a_json_parser(body: Any, indent: int | None, ascii: bool) -> None:
    text = json.dumps(body, indent=indent, ensure_ascii=ascii)
    read = Body(text)
    found = list(read.members())
    objects = [each for group in (body["related"] or {}).values() for each in group.values()]
    assert [value for name, value, start in found if start >= 0] == objects
    assert [read.at(start) for _, _, start in found if start >= 0] == objects
    others = {name: value for name, value, start in found if start < 0}
    assert others == {name: value for name, value in body.items() if name != "related" or value is None}


NO_LISTS = ["", "[]", "{", '{"a"', '{"a" 1}', '{"a": }', '{"a": 1 "b": 2}', "{1: 2}"]
NO_OBJECTS = ['{"related": []}', '{"related": {"K": 3}}', '{"a": ' + "[" * 100_000]


@pytest.mark.parametrize("text", [*NO_LISTS, *NO_OBJECTS])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(NotAList):
        list(Body(text).members())


TRUE = {"type": "Deployed", "status": "True"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param({"status": {"pool": "many", "conditions": [TRUE]}}, "many", id="in-a-pool"),
        pytest.param({}, "", id="new"),
        pytest.param({"status": {"conditions": [TRUE | {"status": "Unknown"}]}}, "", id="deployment-is-starting"),
        pytest.param({"status": {"conditions": [TRUE]}}, None, id="in-a-deployment"),
        pytest.param({"spec": {"suspend": True}}, None, id="suspended-without-a-pool"),
        pytest.param({"spec": {"suspend": True}, "status": {"pool": "many"}}, "many", id="suspended-in-a-pool"),
        pytest.param({"metadata": {"deletionTimestamp": "x"}, "status": {"pool": "many"}}, None, id="being-deleted"),
    ],
)
def test_status_says_which_pool_may_run_a_source(source: Any, expected: str | None) -> None:
    assert owner(source) == expected
