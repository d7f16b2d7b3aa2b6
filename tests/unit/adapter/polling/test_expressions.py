"""JMESPath expressions: which are refused, and how much an evaluation may do."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jmespath
import pytest

from adapter.polling.errors import PollFailed
from adapter.polling.expressions import Evaluation, check_expression

MIB = 1024 * 1024
DOUBLED = " | ".join(["[@, @]"] * 24)
FLATTENED = " | ".join(["[@, @][]"] * 24)
MANY_FIELDS = "items[?open == `true`].{" + ", ".join(f"field{n}: field{n}" for n in range(40)) + "}"


def search(expression: str, value: Any, max_bytes: int = MIB, check_members: bool = False) -> Any:
    return Evaluation(max_bytes).search("items", check_expression(expression), value, check_members=check_members)


@contextmanager
def cheap(cpu_s: float = 3, mib: int = 60) -> Iterator[None]:
    """At most this CPU time and memory. tracemalloc makes an evaluation several times slower."""
    began = time.process_time()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()
    assert peak < mib
    assert time.process_time() - began < cpu_s


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(DOUBLED, id="lists"),
        pytest.param(FLATTENED, id="flattened"),
        pytest.param(" | ".join(["{a: @, b: @}"] * 24), id="hashes"),
        pytest.param(" | ".join(["map(&[@, @], @)"] * 24), id="map"),
        pytest.param(" | ".join(["{a: a, b: a}.{a: b, c: b}"] * 12), id="same-field"),
        pytest.param(f"[{DOUBLED} == `1`]", id="inside-a-comparison"),
        pytest.param(f"[?({DOUBLED}) == `1`]", id="inside-a-filter"),
        pytest.param("merge(@, @, @) | " * 10 + "@", id="merge"),
    ],
)
def test_expression_that_doubles_its_input_many_times_is_refused(expression: str) -> None:
    with cheap(), pytest.raises(ValueError, match="can copy its input more than 100 times; select each part"):
        check_expression(expression)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("!" * 1000 + "a", id="not"),
        pytest.param("[" * 500 + "a" + "]" * 500, id="lists"),
        pytest.param("|".join("a" * 101), id="pipes"),
        pytest.param("abs(" * 101 + "a" + ")" * 101, id="functions"),
    ],
)
def test_expression_with_too_many_levels_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="more than 100 parts inside each other; write a simpler one"):
        check_expression(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "@",
        "data.items[*].commits[].files[0]",
        MANY_FIELDS,
        MANY_FIELDS + " | [?field1 == 'a'].{" + ", ".join(f"field{n}: field{n}" for n in range(20)) + "}",
        "items[*].{id: id, name: name, raw: @, open: state == 'open', key: join('-', [org, repo]), n: length(tags)}",
        "sort_by(items, &date)[-10:] | reverse(@)",
        "items[?contains(tags, 'x') && starts_with(name, 'a') || !done].merge(@, {kind: 'order'})",
    ],
)
def test_usual_expression_is_accepted(expression: str) -> None:
    assert check_expression(expression) == expression


def test_limits_change_no_result() -> None:
    value = {"items": [{"id": n, "tags": [f"t{n}", "x"], "name": f"n{n}", "o": {"a": n}} for n in range(5)]}
    for expression in (
        "items[*].{id: id, all: join(', ', tags), text: to_string(o), same: to_string(name)}",
        "items[?id > `2`].tags[] | sort(@) | [1:]",
        "[items[0], items[-1], {a: items[*].o.a | sum(@)}]",
        "items[].o.* | []",
        "map(&id, items)",
    ):
        assert search(expression, value, check_members=True) == jmespath.search(expression, value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param("[*].{a: a, b: b, c: {d: d}}", [{}] * 300_000, id="objects"),
        pytest.param("[*][*][*].a", [[[{}] * 80] * 80] * 80, id="nested-projections"),
        pytest.param("[" + ",".join("@" * 90) + "][]" + " | [][][]" * 20, [[1]] * 300_000, id="flatten"),
        pytest.param(" | ".join(["sort(@)"] * 90), list(range(300_000)), id="sort"),
        pytest.param("[*].to_string(@)", [["x" * 1000] * 100] * 3000, id="texts"),
    ],
)
def test_evaluation_ends_after_a_number_of_steps(expression: str, value: Any) -> None:
    with cheap(cpu_s=10), pytest.raises(PollFailed, match="takes more than 400000 steps; select fewer items"):
        search(expression, value, 4 * MIB)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param("join(glue, list)", {"glue": "x" * MIB, "list": ["a"] * 100_000}, id="join"),
        pytest.param("to_string([@, @, @] | [@, @, @])", ["x" * (MIB - 10)], id="to_string"),
        pytest.param("[[@, @]]", "x" * (MIB - 10), id="copies"),
        pytest.param("[map(&`" + '"' + "x" * 900 + '"' + "`, @)]", [1] * 10_000, id="literals"),
        pytest.param("[{a: @, b: @}]", {"key": "x" * (MIB - 20)}, id="hash"),
        pytest.param("[{a: @, b: @}]", {"k" * (MIB - 20): 1}, id="keys"),
    ],
)
def test_expression_cannot_build_a_value_longer_than_max_bytes(expression: str, value: Any) -> None:
    with cheap(), pytest.raises(PollFailed, match=r"builds a value that is longer than maxBytes; select less$"):
        search(expression, value, MIB, check_members=True)


def test_steps_of_all_expressions_of_a_poll_are_counted_together() -> None:
    evaluation = Evaluation(MIB, steps=10)
    for _ in range(10):
        assert evaluation.search("id", "id", {"id": 1}) == 1
    with pytest.raises(PollFailed, match='subject "a" takes more than 10 steps'):
        evaluation.search("subject", "a", {"a": 1})


def test_reason_names_the_start_of_a_long_expression_and_what_to_do() -> None:
    with pytest.raises(PollFailed) as failed:
        search(MANY_FIELDS, {"items": [{"open": True}] * 300_000})
    assert str(failed.value).startswith(f'items "{MANY_FIELDS[:60]}…" takes more than')
    assert str(failed.value).endswith("select fewer items, or write a shorter one")
