"""The shared fields of a spec, and what makes a spec invalid."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.controller import Unprocessable
from hooks.names import is_dns_subdomain
from hooks.protocol import Parent
from hooks.source import InvalidSpec, read_source
from tests.unit.hooks.hook import URL_SINK, answer, condition, observed, parent

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
DNS_1035_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
kinds = st.integers(0, 62).flatmap(lambda length: st.text("ABa1", min_size=length, max_size=length)).map("K{}".format)
part = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,80}[a-z0-9])?\Z", fullmatch=True)
names = st.lists(part, min_size=1, max_size=5).map(".".join).filter(lambda name: len(name) <= 253)
namespaces = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z", fullmatch=True)


def read(spec: Any, *, listens: bool = False, **source: Any) -> Any:
    return read_source(Parent.model_validate(parent(spec, **source)), listens=listens)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"interval": "10"}, 'spec.interval: time: missing unit in duration "10"'),
        ({"interval": 5}, 'spec.interval is 5: write a duration in quotes, like "10s"'),
        ({"serviceAccountName": "No_Such"}, 'spec.serviceAccountName is "No_Such": write the name of a ServiceAccount'),
        ({"serviceAccountName": "a..b"}, 'spec.serviceAccountName is "a..b": '),
        ({"ceOverrides": 3}, 'spec.ceOverrides is 3: write {"extensions": {"name": "value"}}'),
        ({"ceOverrides": {"extensions": {"type": "x"}}}, 'spec.ceOverrides.extensions: extension name "type" is reser'),
        (
            {"ceOverrides": {"extensions": {"tracestate": "x"}}},
            'spec.ceOverrides.extensions: extension name "tracestate" is not allowed: all events would be in one trace',
        ),
        ({"ceOverrides": {"extensions": {"a": 1}}}, "spec.ceOverrides.extensions.a is 1: write a string"),
        ({"delivery": 3}, "spec.delivery is 3: write an object"),
        ({"delivery": {"retry": "x"}}, 'spec.delivery.retry is "x": write a whole number'),
        ({"delivery": {"format": "json"}}, "spec.delivery.format is not a field; the fields are "),
    ],
)
def test_invalid_spec_sets_ready_to_false_and_does_not_stop_a_running_adapter(bad: Any, text: str) -> None:
    spec = {"sink": URL_SINK}
    response = answer({**spec, **bad})
    [ready] = response["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "InvalidSpec")
    assert ready["message"].startswith(text)
    with pytest.raises(Unprocessable, match=r"spec\."):
        answer({**spec, **bad}, children=observed(answer(spec)["children"][0]))


def test_kind_beyond_the_limit_sets_ready_to_false_and_does_not_stop_a_running_adapter() -> None:
    kind = f"{'A' * 46}Source"
    response = answer({"sink": URL_SINK}, kind=kind)
    [ready] = response["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "InvalidSpec")
    text = f'the kind "{kind}" has 53 characters as "{"a" * 46}-source"; write at most 52'
    assert (ready["message"], response["children"]) == (text, [])
    with pytest.raises(Unprocessable, match="write at most 52"):
        answer({"sink": URL_SINK}, kind=kind, children=observed(answer({"sink": URL_SINK})["children"][0]))


@given(kinds, names, namespaces)
def test_every_name_of_a_child_is_valid_in_kubernetes(kind: str, name: str, namespace: str) -> None:
    response = answer({"sink": URL_SINK}, kind=kind, name=name, namespace=namespace, listens=True)
    if condition(response, "Ready") == ("False", "InvalidSpec"):
        return
    deployment, service = response["children"]
    assert is_dns_subdomain(deployment["metadata"]["name"])
    assert len(deployment["metadata"]["name"]) <= 63
    assert DNS_1035_LABEL.fullmatch(service["metadata"]["name"])
    labels = [deployment["metadata"]["labels"], deployment["spec"]["template"]["metadata"]["labels"]]
    labels += [deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]]
    assert [each for listed in labels for each in listed.values() if not LABEL_VALUE.fullmatch(each)] == []


def test_event_source_is_the_annotation_or_the_path_of_the_object() -> None:
    path = "/apis/samples.knative.dev/v1alpha1/namespaces/ns/samplesources/hello"
    assert read({}).event_source == path
    chosen = {"samples.knative.dev/event-source": "sample.knative.dev/heartbeat-source"}
    assert read({}, annotations=chosen).event_source == "sample.knative.dev/heartbeat-source"


def test_event_source_annotation_with_control_characters_is_invalid() -> None:
    with pytest.raises(
        InvalidSpec, match=r"^annotation samples\.knative\.dev/event-source is .*: write a URI reference"
    ):
        read({}, annotations={"samples.knative.dev/event-source": "a\x7f\x9f\ufffe"})
    annotated = answer({"sink": URL_SINK}, annotations={"samples.knative.dev/event-source": "a b"})
    assert condition(annotated, "Ready") == ("False", "InvalidSpec")


@pytest.mark.parametrize(("replicas", "expected"), [(None, 1), (1, 1), (32, 32), (33, 1), (0, 1), (True, 1), ("2", 1)])
def test_replicas_of_a_listening_kind_are_1_to_32(replicas: Any, expected: int) -> None:
    assert read({"replicas": replicas}, listens=True).replicas == expected


def test_replicas_are_a_field_of_the_kind_if_it_does_not_listen() -> None:
    source = read({"replicas": 3, "own": 1})
    assert (source.replicas, source.config) == (1, {"replicas": 3, "own": 1})
    assert read({"replicas": 3, "own": 1}, listens=True).config == {"own": 1}
