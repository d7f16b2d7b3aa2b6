"""``sources lint`` and the API server accept and reject the same rows of tests/contract/specs.yaml."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.admission import yaml
from sources_cli.admission.resource import object_violations
from sources_cli.kind import kind_named
from tests.cluster.recordings import TABLE, with_says
from tests.contract.spec_rows import ROWS, package_of
from tests.unit.sources_cli.admission.verdicts import lint_findings, server_findings


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_lint_agrees_with_the_api_server(row: dict[str, Any]) -> None:
    name = row.get("kind", "SampleSource")
    kind = kind_named(name, package_of(name))
    source = {"apiVersion": kind.api_version, "kind": name, "metadata": {"name": "a"}, "spec": row["spec"]}
    found = object_violations(kind, source | row.get("object", {}))
    assert lint_findings(found) == server_findings(kind, row.get("says", []), found)


def test_recording_the_same_answers_does_not_change_the_table() -> None:
    table = TABLE.read_text()
    assert [row["name"] for row in ROWS if with_says(table, row["name"], row.get("says", [])) != table] == []


@pytest.mark.parametrize("name", ["number or text: a number", "no sink at all"])
@pytest.mark.parametrize("says", [[], ['spec.a: Invalid value: "é\\n"', "b"]], ids=["accepted", "refused"])
def test_recording_a_new_answer_changes_only_its_row(name: str, says: list[str]) -> None:
    before = {row["name"]: row for row in ROWS}
    after = {row["name"]: row for row in yaml.load(with_says(TABLE.read_text(), name, says))[0].value}
    assert after.pop(name).get("says", []) == says
    assert after == {other: row for other, row in before.items() if other != name}


def test_table_has_many_accepted_and_refused_rows_with_unique_names() -> None:
    refused = [row for row in ROWS if "says" in row]
    assert len(ROWS) >= 80
    assert len(refused) >= 40
    assert len(ROWS) - len(refused) >= 40
    assert len({row["name"] for row in ROWS}) == len(ROWS)
