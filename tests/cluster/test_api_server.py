"""The API server agrees with tests/contract/specs.yaml and with ``sources lint``, word by word."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings

from hooks.dev.admission import object_violations
from hooks.dev.crd import crd
from hooks.dev.kinds import Kind, kind_named
from tests.cluster.api import Api, ApiError
from tests.cluster.plane import ControlPlane
from tests.property.test_lint_laws import specs
from tests.unit.test_lint_table import PACKAGES, ROWS

KINDS = {name: kind_named(name, package) for name, package in PACKAGES.items()}
EXAMPLES = 1000 if os.environ.get("LONG") else 100


@pytest.fixture(scope="module")
def api(alone: ControlPlane) -> Api:
    for kind in KINDS.values():
        alone.api.serve(crd(kind))
    return alone.api


def said_of(api: Api, kind: Kind, source: Any) -> list[str]:
    """What the API server says against a source, without the remarks that name no field; nothing: it takes it."""
    try:
        api.create(source, dry_run=True)
    except ApiError as error:
        return sorted(it for it in error.causes if not it.startswith("<nil>: ")) or undecoded(kind, str(error))
    return []


def undecoded(kind: Kind, message: str) -> list[str]:
    """What stopped it before it looked at the values."""
    said = message.removeprefix(f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: ')
    strict = said.removeprefix("strict decoding error: ")
    return [said] if strict == said else strict.split(", ")


def source_of(kind: Kind, spec: Any) -> dict[str, Any]:
    return {"apiVersion": kind.cls.api_version, "kind": kind.name, "metadata": {"name": "a"}, "spec": spec}


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_the_api_server_says_what_the_table_says(api: Api, row: dict[str, Any]) -> None:
    kind = KINDS[row.get("kind", "SampleSource")]
    assert said_of(api, kind, source_of(kind, row["spec"]) | row.get("object", {})) == row.get("says", [])


@settings(max_examples=EXAMPLES, deadline=None)
@given(spec=specs)
def test_the_api_server_and_lint_say_the_same_of_any_spec(api: Api, spec: Any) -> None:
    kind = KINDS["SampleSource"]
    source = source_of(kind, spec)
    lint = sorted(violation.text for violation in object_violations(kind, source))
    assert said_of(api, kind, source) == lint
