"""YAML is read as kubectl reads it, and written so that kubectl reads the same value."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources_cli.admission import yaml
from tests.deadline import DEADLINE_S

ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 7))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9))
KEYS = (
    "? &a0 ["
    + "x," * 9
    + "]\n: 1\n"
    + "".join(f"? &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n: 1\n" for n in range(1, 9))
)
EXCESSIVE = "the document contains excessive aliasing"
GIBIBYTE = 2**30


def read(text: str) -> Any:
    [document] = yaml.load(text)
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10s", "10s"), ("yes", True), ("y", True), ("N", False), ("Off", False), ("oN", "oN"), ("1:30", "1:30"),
        ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("0x10", 16), ("010", 8), ("1_000", 1000), ("-7", -7), ("~", None),
        ("", None), ("null", None), ("2026-01-01", "2026-01-01"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1.2.3", "1.2.3"), ("'10'", "10"), ("18446744073709551615", 2**64 - 1), ("18446744073709551616", 2.0**64),
        ('"\\ud83d\\ude00"', "😀"),
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
    first, second = yaml.load("# c\na:\n  b:\n    - x\n    - z: 1\n---\n\nd: {e: 2}\n")
    assert [first.line(path) for path in (("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "z"))] == [2, 3, 5, 5]
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
        pytest.param(ALIASES, 4, EXCESSIVE, id="lists of aliases"),
        pytest.param(MERGES, 4, EXCESSIVE, id="merged aliases"),
        pytest.param(KEYS, 7, EXCESSIVE, id="aliases in keys"),
        pytest.param("a: &a [1, *a]", 1, 'the value of anchor "a" contains itself', id="an alias in itself"),
        pytest.param("a: [" + "1," * 200_000 + "]", 1, "has more than 200000 keys and values", id="many values"),
        pytest.param("a: 1\nb: " + "9" * 5000, 2, '"999', id="an integer of 5000 digits"),
        pytest.param("a: 0x" + "f" * 5000, 1, "is not a value of type int", id="a hexadecimal integer of 5000 digits"),
        pytest.param("a: 1\nb: .inf", 2, '".inf" is not a value of type float that JSON can hold', id="infinity"),
        pytest.param("a: 1e999", 1, "is not a value of type float", id="a number that is too large"),
        pytest.param('a: 1\nx: !!int ""', 2, '"" is not a value of type int', id="an empty integer"),
        pytest.param("a: !!bool maybe", 1, '"maybe" is not a value of type bool', id="no boolean"),
        pytest.param("a: 1\nb: !!float x", 2, '"x" is not a value of type float', id="no number"),
        pytest.param("a: !!timestamp 2026-01-01", 1, "could not determine a constructor", id="a timestamp"),
        pytest.param('a: "\\ud800"', 1, "is not a value of type str", id="half a character"),
        pytest.param('a: 1\nb: "\\U99999999"', 2, "", id="no character"),
        pytest.param("a: 1\n~: 1", 2, "key ~ is not a string; put it in quotes", id="null as key"),
        pytest.param("1: a", 1, "key 1 is not a string; put it in quotes", id="a number as key"),
        pytest.param("y: a", 1, "key y is not a string; put it in quotes", id="a boolean as key"),
        pytest.param("? {a: 1}\n: 1", 1, "a key is a map; write a string", id="a map as key"),
        pytest.param("a: &a {b: 1}\nc: {<<: *a, <<: 5}", 2, "expected a mapping", id="a merged number"),
        pytest.param("a: 1\nb:\n\t- c", 3, "found character '\\t' that cannot start any token", id="a tab"),
        pytest.param("a: *b", 1, "found undefined alias 'b'", id="an alias"),
        pytest.param("a: 1\nb: \x00", 2, "unacceptable character", id="a character"),
        pytest.param("? [a]\n: 1", 1, "a key is a list; write a string", id="a list as key"),
        pytest.param("a:\n  - " + "[" * 5000, 2, "lists and maps are more than 100 levels deep", id="too deep"),
    ],
)
def test_broken_yaml_has_a_line_and_a_problem(text: str, line: int, problem: str) -> None:
    with pytest.raises(yaml.BrokenYAML) as broken:
        yaml.load(text)
    assert broken.value.line == line
    assert problem in str(broken.value)
    assert "\n" not in str(broken.value)


@pytest.mark.parametrize("text", [ALIASES, MERGES, KEYS], ids=["lists", "merges", "keys"])
def test_small_text_that_stands_for_a_large_value_takes_little_memory(text: str) -> None:
    program = "import sys; from sources_cli.admission import yaml; yaml.load(sys.argv[1])"
    limited = subprocess.run(
        [sys.executable, "-c", program, text],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTE, GIBIBYTE)),
    )
    assert f"BrokenYAML: {EXCESSIVE}" in limited.stderr


def test_half_of_a_large_document_may_be_aliases() -> None:
    value = "&a [" + "1, " * 999 + "1]"
    assert len(read(f"base: {value}\ncopies: [{', '.join(['*a'] * 50)}]")["copies"]) == 50


@given(st.text(alphabet="ab&*!<>:,-[]{}?|#%@`'\"~019.e_\n\t \\\x00\x1b\ufeff\u202e\ud800", max_size=60))
def test_any_text_is_a_value_or_broken_yaml(text: str) -> None:
    with contextlib.suppress(yaml.BrokenYAML):
        json.dumps([document.value for document in yaml.load(text)], allow_nan=False)
