"""Strategies for the spec of a source: valid values, and values that are wrong in one place."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.sink_auths import broken_sink_auths, sink_auths


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
        "connectTimeout": iso_durations,
        "retryAfterMax": iso_durations,
        "deadLetterSink": sinks | st.just({}),
        "deadLetterSinkAuth": sink_auths(),
    },
)
object_names = st.sampled_from(["db", "db", "a.b", "A", ""])
checkpoints = st.fixed_dictionaries(
    {},
    optional={
        "none": st.just({}),
        "pod": st.sampled_from([{}, {}, None, {"a": 1}, "x"]),
        "url": st.fixed_dictionaries(
            {},
            optional={
                "secretKeyRef": st.fixed_dictionaries(
                    {}, optional={"name": object_names, "key": st.sampled_from(["url", ".a", "..a"])}
                )
            },
        )
        | st.sampled_from([{}, "redis://h"]),
        "volume": st.fixed_dictionaries({}, optional={"claimName": object_names}),
    },
)
specs = st.fixed_dictionaries(
    {"sink": sinks},
    optional={
        "interval": st.sampled_from(["10s", ""]) | durations,
        "serviceAccountName": st.sampled_from(["robot", ""]) | names,
        "ceOverrides": st.fixed_dictionaries({}, optional={"extensions": extensions}),
        "delivery": deliveries,
        "suspend": st.booleans() | st.sampled_from([None, "true", 1]),
        "sinkAuth": sink_auths() | broken_sink_auths,
        "checkpoint": checkpoints | st.sampled_from([{"pod": {}}, {"volume": {"claimName": "a"}}, None, "pod"]),
    },
)

keys = st.text(max_size=6)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)  # YAML makes larger ones floats
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
