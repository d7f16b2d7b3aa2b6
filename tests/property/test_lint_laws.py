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

KIND = kind_named("SampleSource", "adapter.sources")
SETTINGS = Settings(adapter_image="adapter:1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def joined(*pieces: str, most: int = 5) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), min_size=1, max_size=most).map("".join)


urls = joined(
    "http://", "https://", "HTTP://", "//", "/", "h", "h.example", "[::1]", "[fe80::1%25en0]", ":80", ":", ":0",
    ":99999", "u:p@", "?a=b", "#f", "%zz", "%41", "é", " ", "..", "a_b", "*", "<", "^", "~", "日本", "\u200b",
)  # fmt: skip
durations = joined("1", "10", "1.5", ".5", "5.", "h", "m", "s", "ms", "us", "µs", "ns", "+", "-", "0", "999999", "1h")
iso_durations = st.sampled_from(["PT10S", "PT0.5S", "P0DT1M", "PT1H", "P0D"]) | joined(
    "P", "PT", "T", "D", "0D", "1D", "1H", "10M", "59S", "61M", "0.001S", "0.0009999S", "3600S", "1s", "-", most=4
)
names = joined("a", "-", ".", "A", "1", "a" * 60, "é")
valid_urls = st.sampled_from(["http://h", "https://h.example:8443/p?q=1", "http://[::1]/é"])
paths = st.sampled_from(["/events", "a/b?c", ""]) | urls
refs = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "v1", "eventing.knative.dev/v1", "/v1", "v", "V1"]),
        "kind": st.sampled_from(["Service", "Service", "Broker", "1a", "A-b"]),
        "name": st.sampled_from(["a", "a.b"]) | names,
    },
    optional={
        "namespace": st.sampled_from(["ns", ""]) | names,
        "port": st.integers(-1, 70000) | st.sampled_from(["http", "8080"]) | joined("0", "8", "-", "A", most=4),
        "address": st.text(max_size=3),
    },
)
audience = {"audience": st.text(max_size=3)}
sinks = st.one_of(
    st.fixed_dictionaries({"uri": valid_urls}, optional=audience),
    st.fixed_dictionaries({"uri": urls}, optional=audience),
    st.fixed_dictionaries({"ref": refs}, optional={"uri": paths, **audience}),
)
extensions = st.just({"region": "eu"}) | st.dictionaries(
    joined("a", "1", "A", "-", "id", "time"), st.text(max_size=3), max_size=3
)
deliveries = st.fixed_dictionaries(
    {},
    optional={
        "retry": st.integers(0, 9) | st.integers(-1, 70000),
        "backoffPolicy": st.sampled_from(["linear", "exponential", "exponential", "none"]),
        "backoffDelay": iso_durations,
        "timeout": iso_durations,
        "retryAfterMax": iso_durations,
        "deadLetterSink": sinks | st.just({}),
    },
)
specs = st.fixed_dictionaries(
    {"sink": sinks},
    optional={
        "interval": st.sampled_from(["10s", ""]) | durations,
        "serviceAccountName": st.sampled_from(["robot", ""]) | names,
        "ceOverrides": st.fixed_dictionaries({}, optional={"extensions": extensions}),
        "delivery": deliveries,
    },
)


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
    reasons = {it.get("reason") for it in answer["status"]["conditions"]}
    assert not reasons & {"InvalidSpec", "InvalidSink"}, answer["status"]


@given(durations)
def test_class_accepts_every_interval_that_the_crd_accepts(text: str) -> None:
    if not errors({"sink": {"uri": "http://h"}, "interval": text}):
        assert SampleSource.model_validate({} if text == "" else {"interval": text}).interval.ns >= 1_000_000


keys = st.text(max_size=6)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


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
def test_lint_evaluates_or_names_any_rule(rule: str, document: Any) -> None:
    entry = {"rule": rule, "message": "m"}
    failure = cel.failure(entry, {}, document)
    assert failure is None or (failure.message == "m" and not cel.unsupported(entry))
