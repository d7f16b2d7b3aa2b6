"""``lint`` says what the API server says, row by row of tests/contract/specs.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hooks.dev import yaml
from hooks.dev.admission import object_violations
from hooks.dev.kinds import kind_named

PACKAGES = {"SampleSource": "adapter.sources", "EveryFieldSource": "tests.kinds"}
ROWS = yaml.load((Path(__file__).parents[1] / "contract/specs.yaml").read_text())[0].value


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_lint_says_what_the_api_server_says(row: dict[str, Any]) -> None:
    name = row.get("kind", "SampleSource")
    kind = kind_named(name, PACKAGES[name])
    source = {"apiVersion": kind.cls.api_version, "kind": name, "metadata": {"name": "a"}, "spec": row["spec"]}
    said = [violation.text for violation in object_violations(kind, source | row.get("object", {}))]
    assert sorted(said) == row.get("says", [])


def test_the_table_is_large_and_has_both_verdicts() -> None:
    refused = [row for row in ROWS if "says" in row]
    assert len(ROWS) >= 80
    assert len(refused) >= 40
    assert len(ROWS) - len(refused) >= 40
    assert len({row["name"] for row in ROWS}) == len(ROWS)
