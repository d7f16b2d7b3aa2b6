"""A real API server gives the answers in tests/contract/specs.yaml and has the verdicts of ``sources lint``.

``RECORD=1 .venv/bin/pytest tests/cluster/test_api_server.py`` writes its answers into the table.
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
from tests.contract.spec_rows import ROWS, package_of
from tests.property import shipped
from tests.property.specs import joined, specs, urls
from tests.unit.sources_cli.admission.verdicts import lint_findings, server_findings

NAMES = {row.get("kind", "SampleSource") for row in ROWS}
KINDS = {name: kind_named(name, package_of(name)) for name in sorted(NAMES)}
EXAMPLES = 1000 if os.environ.get("LONG") else 100
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TIMES = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.5Z", "1999-01-01T00:00:00Z", "x"]
KEY = {"secretKeyRef": {"name": "a", "key": "b"}}
VALUES: dict[str, list[Any]] = {  # valid and invalid values
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


def answers(api: Api, kind: Kind, source: Any) -> list[str]:
    """The API server's errors about a source, without those that name no field; empty if it accepts the source."""
    try:
        api.create(source, dry_run=True)
    except ApiError as error:
        return sorted(cause for cause in error.causes if not cause.startswith("<nil>: ")) or undecoded(kind, str(error))
    return []


def undecoded(kind: Kind, message: str) -> list[str]:
    """The errors of decoding, which comes before the check of the values."""
    problem = message.removeprefix(f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: ')
    strict = problem.removeprefix("strict decoding error: ")
    return [problem] if strict == problem else strict.split(", ")


def source_of(kind: Kind, spec: Any) -> dict[str, Any]:
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "a"}, "spec": spec}


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS])
def test_api_server_gives_the_answers_of_the_table(api: Api, row: dict[str, Any]) -> None:
    kind = KINDS[row.get("kind", "SampleSource")]
    given = answers(api, kind, source_of(kind, row["spec"]) | row.get("object", {}))
    if os.environ.get("RECORD"):
        save_row(row["name"], given)
    else:
        assert given == row.get("says", [])


somewhere = st.just({"uri": "http://h"})
every_field = st.fixed_dictionaries(
    {"sink": st.sampled_from([{"uri": "http://h"}, {"uri": "http://h"}, {}])},
    optional={name: st.sampled_from([*values[:1] * 3, *values]) for name, values in VALUES.items()},
)
words = st.sampled_from(["", "a", "ax", "be", "xx", "no", "bad", "hey", "5", "56", "a'b", "é", "\u0378", "\u200b"])
whole_numbers = st.integers(-1, 101)
own_rules = st.fixed_dictionaries(
    {"sink": somewhere},
    optional={
        "low": whole_numbers,
        "high": whole_numbers | st.sampled_from([0.5, 12.5, 100.0, 99.9]),
        "window": st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(TIMES) for name in ("begin", "end")} | {"place": words}
        ),
        "names": st.lists(words, max_size=4),
        "limits": st.dictionaries(st.sampled_from(["a", "zero", "old"]), whole_numbers, max_size=3),
        "port": st.sampled_from([80, 81, "80", "8080", "http", ""]),
        "text": words,
        "link": urls | st.sampled_from(["/a", "a", "*", "mailto:a", "ftp://h", "http://h/?q", "//h:1/#x"]),
        "pause": joined("1", "500", "1500", "m", "s", "ms", "us", "µs", "-", "0"),  # whole microseconds
    },
)
metadata = st.sampled_from([{"name": "a"}] * 6 + [{}, {"name": "A"}, {"name": "a", "labels": {"a": 1}}])


def sources(kind: Kind, spec: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fixed = {"apiVersion": st.just(kind.api_version), "kind": st.just(kind.name)}
    return st.fixed_dictionaries({**fixed, "metadata": metadata, "spec": spec})


any_source = st.one_of(
    sources(KINDS["SampleSource"], specs),
    sources(KINDS["EveryFieldSource"], every_field),
    sources(KINDS["OwnRulesSource"], own_rules),
    sources(KINDS["PollSource"], shipped.specs(shipped.wrong(shipped.POLL), somewhere)),
    sources(KINDS["WebhookSource"], shipped.specs(shipped.wrong(shipped.WEBHOOK), somewhere)),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(source=any_source)
def test_api_server_and_lint_agree_on_any_source(api: Api, source: Any) -> None:
    kind = KINDS[source["kind"]]
    found = object_violations(kind, source)
    assert lint_findings(found) == server_findings(kind, answers(api, kind, source), found)
