"""The API server agrees with tests/contract/specs.yaml and with ``sources lint``, word by word.

``RECORD=1 .venv/bin/pytest tests/cluster/test_api_server.py`` writes what it says into the table.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources_cli.admission.resource import object_violations
from sources_cli.kind import Kind, kind_named
from sources_cli.schema.crd import crd
from tests.cluster.api import Api, ApiError
from tests.cluster.control_plane import ControlPlane
from tests.cluster.recordings import save_row
from tests.property import shipped
from tests.property.test_lint_laws import specs
from tests.unit.sources_cli.admission.test_lint_table import PACKAGES, ROWS

KINDS = {name: kind_named(name, package) for name, package in PACKAGES.items()}
EXAMPLES = 1000 if os.environ.get("LONG") else 100
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = {"secretKeyRef": {"name": "a", "key": "b"}}
VALUES: dict[str, list[Any]] = {  # right ones and wrong ones
    "url": ["http://a", "ftp://a", "http://a" + "b" * 30, 5],
    "words": ["a b", "a\n", "é", {"a": 1}],
    "colour": ["red", "green", 1],
    "mode": ["a", "c"],
    "level": [1, 3, "1"],
    "ratio": [0.5, 0, 1, 2.5, "x"],
    "count": [4, 3, 2.5],
    "port": [80, "x", 1.5],
    "items": [[], [{"name": "ab"}], [{"name": "a"}], [{"name": "ab", "weight": 11}], [{}], ["x"], [{"name": "ab"}] * 4],
    "names": [["x"], [], ["x"] * 4, "x"],
    "tags": [["a"], ["a", "a"]],
    "labels": [{"a": "b"}, dict.fromkeys("abc", "x"), {"a": 1}],
    "numbers": [{"a": 1}, {"a": 1.5}],
    "since": ["2026-01-01T00:00:00Z", "x"],
    "token": [KEY, {}, {"secretKeyRef": {"name": "A", "key": " "}}, "x"],
    "headers": [{"a": KEY}, {"a": {}}, {"a": {"configMapKeyRef": {}}}],
    "on": [True, "x"],
    "loose": [{"name": "x", "more": 1}, {"name": "too long"}],
    "every": ["1m", "x", 1],
    "endpoint": ["https://h:8443/p?q#f", "h", "ftp://h", "http://u:p@h", "http://h:0", "http://h/a b", "", "//h", 1],
    "authorities": [PEM, "x", "", PEM + "PRIVATE KEY", 1],
    "interval": ["10s", "x", "0s", 1],
}


@pytest.fixture(scope="module")
def api(bare_api_server: ControlPlane) -> Api:
    for kind in KINDS.values():
        bare_api_server.api.serve(crd(kind))
    return bare_api_server.api


def describe_error(api: Api, kind: Kind, source: Any) -> list[str]:
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
    said = describe_error(api, kind, source_of(kind, row["spec"]) | row.get("object", {}))
    if os.environ.get("RECORD"):
        save_row(row["name"], said)
    else:
        assert said == row.get("says", [])


every_field = st.fixed_dictionaries(
    {"sink": st.sampled_from([{"uri": "http://h"}, {"uri": "http://h"}, {}])},
    optional={name: st.sampled_from([*values[:1] * 3, *values]) for name, values in VALUES.items()},
)
metadata = st.sampled_from([{"name": "a"}] * 6 + [{}, {"name": "A"}, {"name": "a", "labels": {"a": 1}}])


def sources(kind: Kind, spec: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fixed = {"apiVersion": st.just(kind.cls.api_version), "kind": st.just(kind.name)}
    return st.fixed_dictionaries({**fixed, "metadata": metadata, "spec": spec})


somewhere = st.just({"uri": "http://h"})
any_source = st.one_of(
    sources(KINDS["SampleSource"], specs),
    sources(KINDS["EveryFieldSource"], every_field),
    sources(KINDS["PollSource"], shipped.specs(shipped.wrong(shipped.POLL), somewhere)),
    sources(KINDS["WebhookSource"], shipped.specs(shipped.wrong(shipped.WEBHOOK), somewhere)),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(source=any_source)
def test_the_api_server_and_lint_say_the_same_of_any_source(api: Api, source: Any) -> None:
    kind = KINDS[source["kind"]]
    lint = sorted(violation.text for violation in object_violations(kind, source))
    assert describe_error(api, kind, source) == lint
