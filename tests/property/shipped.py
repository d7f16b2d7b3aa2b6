"""Hypothesis strategies for specs of PollSource and WebhookSource, valid ones and invalid ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Fields = Mapping[str, st.SearchStrategy[Any]]
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

key = st.fixed_dictionaries(
    {"name": st.sampled_from(["s", "s.t", "s..t", "S"]), "key": st.sampled_from(["k", ".k", "..k", "k k"])},
    optional={"optional": st.booleans()},
)
secrets = st.builds(
    lambda place, reference: {place: reference}, st.sampled_from(["secretKeyRef", "configMapKeyRef"]), key
)
right_key = st.just({"secretKeyRef": {"name": "s", "key": "k"}})
texts = st.text(max_size=6)
expressions = st.sampled_from(["@", "data.items", "a || `$(HOME)`"])

CHECKPOINTS = [{"none": {}}, {"pod": {}}, {"url": {"secretKeyRef": {"name": "s", "key": "k"}}}]
POLL: Fields = {
    "checkpoint": st.sampled_from([*CHECKPOINTS, {"volume": {"claimName": "a"}}]),
    "url": st.sampled_from(["http://h", "https://h.example:8443/a?b=$(HOME)&c=%20#d", "http://h/@me"]),
    "interval": st.sampled_from(["10s", "1h30m", ""]),
    "headers": st.dictionaries(st.sampled_from(["Accept", "X-Api-Key"]), texts, max_size=2),
    "secretHeaders": st.dictionaries(st.sampled_from(["Authorization", "X-Key"]), right_key, max_size=2),
    "items": expressions,
    "id": expressions,
    "subject": expressions,
    "eventType": st.sampled_from(["com.example.order", "é $(HOME)"]),
    "start": st.sampled_from(["now", "earliest"]),
    "timeout": st.sampled_from(["1ms", "10s"]),
    "maxBytes": st.integers(1024, 4 * 1024 * 1024),
    "CACerts": st.just(PEM),
}
WEBHOOK: Fields = {
    "auth": st.fixed_dictionaries(
        {"type": st.sampled_from(["bearer", "github", "standardWebhooks"]), "secret": right_key}
    )
    | st.just({"type": "none"}),
    "eventType": st.sampled_from(["com.github", "é $(HOME)"]),
    "eventTypeHeader": st.sampled_from(["", "X-GitHub-Event"]),
    "idHeader": st.sampled_from(["", "X-GitHub-Delivery"]),
    "allowedOrigins": st.sampled_from([[], ["*"], ["eventgrid.azure.net", "h"]]),
    "path": st.sampled_from(["/", "/a/b~$(HOME)"]),
    "maxInFlight": st.integers(1, 256),
    "answerWithin": st.sampled_from(["1ms", "8s"]),
    "replicas": st.integers(1, 32),
    "checkpoint": st.sampled_from(CHECKPOINTS),
}
_things = st.sampled_from([None, "", "x", 0, 1.5, True, [], ["x"], [{"a": 1}], {}, {"a": {"b": 1}}])
_durations = st.sampled_from(["", "10", "0s", "1d"])
_keyed = st.dictionaries(texts, secrets | st.just({}), max_size=2)
MISTAKES: Fields = {
    "url": st.sampled_from(
        ["", "/a", "ftp://h", "http://", "http://u:p@h", "http://h/ a", "http://h/a\n", "http://h:0"]
    ),
    "interval": _durations,
    "headers": st.dictionaries(texts, texts | st.just(1), max_size=2),
    "secretHeaders": _keyed,
    "items": st.just(""),
    "start": st.just("Now"),
    "timeout": _durations,
    "maxBytes": st.sampled_from([1023, 4 * 1024 * 1024 + 1]),
    "CACerts": st.just(PEM + "PRIVATE KEY"),
    "auth": st.fixed_dictionaries(
        {},
        optional={"type": st.sampled_from(["none", "bearer", "Bearer"]), "secret": secrets | st.just({}), "x": texts},
    ),
    "idHeader": st.sampled_from(["X Id", "X-Id\n", "é", "a" * 65]),
    "path": st.sampled_from(["", "a", "/é", "/a b", "/a\n", "/a?b=%20"]),
    "maxInFlight": st.sampled_from([0, 257]),
    "answerWithin": _durations,
    "replicas": st.sampled_from([0, 33, "1"]),
    "checkpoint": st.sampled_from([{"volume": {"claimName": "a"}}, {}, {"pod": {}, "none": {}}, {"url": "x"}]),
}


def specs(fields: Fields, sink: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    needed = {"sink": sink} | {name: values for name, values in fields.items() if name == "url"}
    optional = {name: values for name, values in fields.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=optional)


def wrong(fields: Fields) -> Fields:
    """Half of the values are valid; the others are mistakes of the field, or of a type that few fields accept."""
    return {name: st.one_of(valid, valid, MISTAKES.get(name, valid), _things) for name, valid in fields.items()}
