"""JSON documents: their numbers, and how much memory they may take."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from adapter.polling.documents import BYTES_PER_CHARACTER, BYTES_PER_MARK, MAX_MEMORY, read_json
from adapter.polling.errors import PollFailed

EMOJI = "\N{GRINNING FACE}"


def parsed(text: str) -> Any:
    return read_json(text.encode()).value


@pytest.mark.parametrize("digits", [19, 20, 309, 4300])
def test_integer_is_exact(digits: int) -> None:
    number = int(("123456789" * 500)[:digits])
    assert parsed(f"[{number}, -{number}]") == [number, -number]


def test_integer_with_more_digits_than_python_reads_is_a_failure_that_says_so() -> None:
    longest = sys.get_int_max_str_digits()
    with pytest.raises(PollFailed) as failed:
        parsed(f'[{{"id": {"9" * (longest + 1)}}}]')
    reason = f"the response holds an integer of more than {longest} digits; request it as a string"
    assert str(failed.value) == reason


def test_megabytes_of_digits_take_no_time() -> None:
    began = time.process_time()
    with pytest.raises(PollFailed, match="an integer of more than"):
        parsed("9" * 4_000_000)
    assert time.process_time() - began < 1


def test_decimal_is_the_nearest_double() -> None:
    assert parsed("[0.1, 1e3, 0.12345678901234567890, 1e308, 1e-999999]") == [
        0.1,
        1000.0,
        0.12345678901234568,
        1e308,
        0,
    ]


@pytest.mark.parametrize("number", ["1e999999", "-1e309", "1" + "0" * 400 + ".0"])
def test_number_beyond_the_range_of_a_double_is_a_failure(number: str) -> None:
    with pytest.raises(PollFailed, match=r"not JSON: it holds a number beyond the range of a double, such as 1e999$"):
        parsed(f'{{"a": [{number}]}}')


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_word_that_is_no_json_number_is_a_failure(word: str) -> None:
    with pytest.raises(PollFailed, match=f"the response is not JSON: it holds {word}$"):
        parsed(f'{{"a": {word}}}')


def test_last_value_of_a_key_is_used() -> None:
    assert parsed('{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize("prefix", [")]}'\n", ")]}',\n", ")]}'"])
def test_prefix_is_skipped(prefix: str) -> None:
    assert parsed(prefix + "[1]") == [1]


def objects(count: int) -> str:
    return "[" + ",".join(f'{{"{n:x}":{{}}}}' for n in range(count)) + "]"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: "[" + "{}," * (n // 2) + "0]", id="objects"),
        pytest.param(lambda n: "[" + "[{}]," * (n // 3) + "0]", id="arrays-of-one"),
        pytest.param(lambda n: "[" + "[[[[[[[[]]]]]]]]," * (n // 9) + "0]", id="nested-arrays"),
        pytest.param(lambda n: "[" + ("[" * 400 + "]" * 400 + ",") * (n // 401) + "0]", id="deeply-nested-arrays"),
        pytest.param(lambda n: "[" + ('[{"":' * 200 + "0" + "}]" * 200 + ",") * (n // 601) + "0]", id="nested-objects"),
        pytest.param(lambda n: "[" + '{"a":0},' * (n // 3) + "0]", id="equal-keys"),
        pytest.param(lambda n: objects(n // 4), id="unique-keys"),
        pytest.param(lambda n: "{" + ",".join(f'"{i:x}":{i + 999}' for i in range(n // 2)) + "}", id="one-object"),
        pytest.param(lambda n: "[" + ",".join(f'"{i:x}"' for i in range(n)) + "]", id="texts"),
        pytest.param(lambda n: "[" + ",".join(f'{{"":"{i:x}"}}' for i in range(n // 3)) + "]", id="objects-with-texts"),
        pytest.param(lambda n: "[" + f'"{EMOJI}",' * n + "0]", id="emoji"),
    ],
)
def test_values_take_no_more_memory_than_their_marks_allow(make: Callable[[int], str]) -> None:
    text = make(100_000)
    tracemalloc.start()
    json.loads(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= BYTES_PER_MARK * sum(map(text.count, "[{:,"))
    assert peak <= BYTES_PER_CHARACTER * len(text)


def test_document_that_could_take_too_much_memory_is_a_failure() -> None:
    member = "12345,"
    most = MAX_MEMORY // (len(member) + BYTES_PER_MARK)
    assert len(parsed("[" + member * (most - 99) + "1]")) == most - 98
    reason = "parsing the response could take 27 MiB of memory, more than 26; request fewer items"
    with pytest.raises(PollFailed, match=reason):
        parsed("[" + member * (most + 1) + "1]")
    as_wide = MAX_MEMORY // (4 * len(member) + BYTES_PER_MARK)  # the emoji makes the text four times as large
    with pytest.raises(PollFailed, match=reason):
        parsed("[" + member * as_wide + f'"{EMOJI}"]')


def test_prose_counts_only_its_punctuation() -> None:
    prose = ("All human beings are born free and equal in dignity and rights. " * 60_000)[:4_000_000]
    assert parsed(json.dumps([{"id": "1", "text": prose}])) == [{"id": "1", "text": prose}]
