"""``lint`` says what the API server says, row by row of tests/contract/specs.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.admission import yaml
from sources_cli.admission.resource import object_violations
from sources_cli.kind import kind_named
from tests.cluster.recordings import TABLE, with_says

SHIPPED = ("SampleSource", "PollSource", "WebhookSource")
PACKAGES = {**dict.fromkeys(SHIPPED, "adapter.sources"), "EveryFieldSource": "tests.kinds"}
ROWS = yaml.load(TABLE.read_text())[0].value


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_lint_says_what_the_api_server_says(row: dict[str, Any]) -> None:
    name = row.get("kind", "SampleSource")
    kind = kind_named(name, PACKAGES[name])
    source = {"apiVersion": kind.api_version, "kind": name, "metadata": {"name": "a"}, "spec": row["spec"]}
    said = [violation.text for violation in object_violations(kind, source | row.get("object", {}))]
    assert sorted(said) == row.get("says", [])


def test_rows_that_are_recorded_anew_are_as_they_were() -> None:
    table = TABLE.read_text()
    assert [row["name"] for row in ROWS if with_says(table, row["name"], row.get("says", [])) != table] == []


@pytest.mark.parametrize("name", ["number or text: a number", "no sink at all"])
@pytest.mark.parametrize("says", [[], ['spec.a: Invalid value: "é\\n"', "b"]], ids=["taken", "refused"])
def test_a_verdict_that_changes_changes_its_row_alone(name: str, says: list[str]) -> None:
    before = {row["name"]: row for row in ROWS}
    after = {row["name"]: row for row in yaml.load(with_says(TABLE.read_text(), name, says))[0].value}
    assert after.pop(name).get("says", []) == says
    assert after == {other: row for other, row in before.items() if other != name}


def test_the_table_is_large_and_has_both_verdicts() -> None:
    refused = [row for row in ROWS if "says" in row]
    assert len(ROWS) >= 80
    assert len(refused) >= 40
    assert len(ROWS) - len(refused) >= 40
    assert len({row["name"] for row in ROWS}) == len(ROWS)
