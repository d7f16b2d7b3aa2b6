"""YAML is read as kubectl reads it, and written so that kubectl reads the same value."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.admission import yaml

ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 7))


def read(text: str) -> Any:
    [document] = yaml.load(text)
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10s", "10s"), ("yes", True), ("y", True), ("N", False), ("Off", False), ("oN", "oN"), ("1:30", "1:30"),
        ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("0x10", 16), ("010", 8), ("1_000", 1000), ("-7", -7), ("~", None),
        ("", None), ("null", None), ("2026-01-01", "2026-01-01"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1.2.3", "1.2.3"), ("'10'", "10"), (".inf", float("inf")),
    ],
)  # fmt: skip
def test_plain_scalar_has_the_type_that_kubectl_gives_it(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["y", "n", "yes", "10", "1e3", "null", "~", "", ".5", "on", "0x1", "<<", "a: b", "# a", "-"]
)
def test_string_that_looks_like_another_type_is_quoted(text: str) -> None:
    assert read(yaml.dump([{"a": text}])) == {"a": text}
    assert yaml.dump([{"a": text}])[3] in "\"'"


def test_shared_value_is_written_twice_without_alias() -> None:
    twice = {"b": 1}
    assert yaml.dump([{"x": twice, "y": [twice]}]) == 'x:\n  b: 1\n"y":\n  - b: 1\n'


def test_multiline_string_is_a_block_and_documents_are_separated() -> None:
    assert yaml.dump([{"a": "b\nc\n"}, {"d": 1}], header="One.\nTwo.") == "# One.\n# Two.\na: |\n  b\n  c\n---\nd: 1\n"


def test_absent_value_has_the_line_of_the_closest_value_around_it() -> None:
    first, second = yaml.load("# c\na:\n  b:\n    - x\n    - y: 1\n---\n\nd: {e: 2}\n")
    assert [first.line(path) for path in (("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "y"))] == [2, 3, 5, 5]
    assert first.line(("a", "nothing", "there")) == 2
    assert first.line(("nothing",)) == 2
    assert second.line(("d", "e")) == 8


def test_empty_documents_are_skipped_and_merge_keys_work() -> None:
    assert yaml.load("---\n---\n# only a comment\n") == []
    assert read("base: &b {x: 1}\nmore: {<<: *b, y2: 2}")["more"] == {"x": 1, "y2": 2}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        pytest.param("a: 1\nb: 2\na: 3", 3, 'key "a" already set in map', id="a key twice"),
        pytest.param("a:\n  - {b: 1, b: 2}", 2, 'key "b" already set in map', id="a key twice in a list"),
        pytest.param("a: 1\n b: 2", 2, "mapping values are not allowed here", id="indent"),
        pytest.param("a: !x 1", 1, "could not determine a constructor for the tag '!x'", id="a tag"),
        pytest.param("a: !!binary aGk=", 1, "could not determine a constructor for the tag", id="a value without JSON"),
        pytest.param(ALIASES, 1, "the document has more than 100000 values", id="too many aliases"),
        pytest.param("a: *b", 1, "found undefined alias 'b'", id="an alias"),
        pytest.param("a: \x00", 1, "unacceptable character", id="a character"),
        pytest.param("? [a]\n: 1", 1, "found unhashable key", id="a list as key"),
        pytest.param("[" * 5000, 1, "", id="too deep"),
    ],
)
def test_broken_yaml_has_a_line_and_a_problem(text: str, line: int, problem: str) -> None:
    with pytest.raises(yaml.BrokenYAML) as broken:
        yaml.load(text)
    assert broken.value.line == line
    assert problem in str(broken.value)
    assert "\n" not in str(broken.value)
