"""The hook accepts every spec that the CRD accepts; lint gives a result for any input."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.sources.sample_source import SampleSource
from hooks.controller import KindOptions, sync
from hooks.observability import Observability
from hooks.protocol import SyncRequest
from hooks.settings import Settings
from sources_cli.admission import cel, yaml
from sources_cli.admission.resource import object_violations
from sources_cli.kind import kind_named
from tests.property.specs import documents, durations, joined, keys, specs

KIND = kind_named("SampleSource", "adapter.sources")
SETTINGS = Settings(adapter_image="adapter:1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def errors(spec: Any) -> list[str]:
    source = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": {"name": "a"}, "spec": spec}
    return [violation.text for violation in object_violations(KIND, source)]


@settings(max_examples=300)
@given(specs)
def test_hook_accepts_every_spec_that_the_crd_accepts(spec: Any) -> None:
    if errors(spec):
        return
    metadata = {"name": "a", "namespace": "ns", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    parent = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": metadata, "spec": spec}
    request = SyncRequest.model_validate({"parent": parent})
    answer = sync(request, SETTINGS, now=NOW, observability=Observability(), options=KindOptions())
    reasons = {condition.get("reason") for condition in answer["status"]["conditions"]}
    assert not reasons & {"InvalidSpec", "InvalidSink"}, answer["status"]


@given(durations)
def test_class_accepts_every_interval_that_the_crd_accepts(text: str) -> None:
    if not errors({"sink": {"uri": "http://h"}, "interval": text}):
        assert SampleSource.model_validate({} if text == "" else {"interval": text}).interval.ns >= 1_000_000


@given(st.dictionaries(keys, documents, min_size=1))
def test_yaml_round_trip_keeps_the_value(document: Any) -> None:
    [read] = yaml.load(yaml.dump([document]))
    assert read.value == document


@given(documents, specs)
def test_lint_gives_a_result_for_any_input(document: Any, spec: Any) -> None:
    for fields in (
        {"spec": document},
        {"metadata": document, "spec": spec},
        {"status": document, "spec": spec},
    ):
        source = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": {"name": "a"}, **fields}
        assert all(violation.text for violation in object_violations(KIND, source))


rules = joined(
    "self", ".a", "(", ")", "'", '"', "'''", "\\", "r'", ".all(x, x", ".map(x, ", "x", " == ", "1", "0.5", " || ", "!",
    "[0]", "{", "}", "duration(", "url(", "has(", ".matches('a')", ".getHours()", " ? ", " : ", " / 0", "\n", "//", "é",
    most=12,
)  # fmt: skip


@given(rules, documents)
def test_lint_evaluates_any_rule_or_reports_it_as_unsupported(rule: str, document: Any) -> None:
    entry = {"rule": rule, "message": "m"}
    failure = cel.failure(entry, {}, document)
    assert failure is None or (failure.message == "m" and not cel.unsupported(entry))
