"""The tables of lost and doubled events in ``docs/delivery.md``: each row names the tests that prove it."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from adapter.contract.timeouts import TIMEOUTS
from tests.pages import ROOT, rows, section

HEADING = "### Tests of these tables"
TESTS = {cells[0]: cells[1].split("<br>") for cells in rows(section("docs/delivery.md", HEADING)) if cells[0] != "row"}
TABLES = section("docs/delivery.md", "## What loses events").partition(HEADING)[0]
ROWS = [cells for cells in rows(TABLES) if cells[0]]
NAMED = [
    (row, test.strip("`")) for row, tests in TESTS.items() for test in tests if not test.startswith("not tested: ")
]


def test_each_row_of_the_tables_names_its_tests_or_says_why_there_is_none() -> None:
    assert [cells[0] for cells in ROWS] == list(TESTS)
    assert all(tests != [""] for tests in TESTS.values())


def test_each_row_has_a_cell_for_each_column() -> None:
    widths = [len(cells) for cells in rows(TABLES)]
    heads = [len(cells) for cells in rows(TABLES) if not cells[0]]
    assert len(heads) == 6
    assert set(widths) == set(heads)


def test_rows_refer_to_rows_that_exist() -> None:
    referred = set(re.findall(r"\b[ATPLSC]\d+\b", TABLES + section("docs/delivery.md", "## What duplicates events")))
    assert referred <= TESTS.keys()


@pytest.mark.parametrize(("row", "test"), NAMED, ids=lambda value: value.rpartition("::")[2])
def test_named_test_exists(row: str, test: str) -> None:
    path, _, name = test.partition("::")
    assert (ROOT / path).is_file(), f"row {row}: there is no file {path}"
    assert name in functions(path), f"row {row}: {path} has no test {name}"


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_grace_periods_of_the_page_are_those_of_the_hook() -> None:
    _, timer, poller, listener, dead_letters, store = rows(section("docs/delivery.md", "## Shutdown"))
    alone = {"dead_letter": False, "listens": False}
    for cells, more in ((timer, {}), (poller, {"polls": True}), (listener, {"listens": True})):
        seconds = TIMEOUTS.grace_period_s(10, **(alone | more))
        assert f"`timeout` + {seconds - 10} s" in cells[1]
        assert cells[2] == f"{seconds} s"
    for cells, more in ((dead_letters, {"dead_letter": True}), (store, {"saves": True})):
        assert (
            cells[2] == f"{TIMEOUTS.grace_period_s(10, **(alone | more)) - TIMEOUTS.grace_period_s(10, **alone)} s more"
        )
