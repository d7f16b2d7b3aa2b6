"""The texts of ``sources lint``: field, value, what to write. The verdicts: test_lint_table.py."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.admission.resource import object_violations
from sources_cli.kind import kind_named

KIND = kind_named("EveryFieldSource", "tests.kinds")


def texts(spec: dict[str, Any], **more: Any) -> list[str]:
    source = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": {"name": "a"}}
    given = {"sink": {"uri": "http://h"}, "url": "http://a"} | spec
    return [violation.text for violation in object_violations(KIND, {**source, "spec": given, **more})]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param({"words": 1}, "spec.words: Invalid value: 1: must be of type string, not integer", id="type"),
        pytest.param({"on": "yes"}, 'spec.on: Invalid value: "yes": must be of type boolean, not string', id="text"),
        pytest.param({"names": {}}, "spec.names: Invalid value: must be of type array, not object", id="object"),
        pytest.param(
            {"port": 1.5},
            "spec.port: Invalid value: 1.5: must be of type integer or string, not number",
            id="two types",
        ),
        pytest.param({"mode": "c"}, 'spec.mode: Unsupported value: "c": write one of "a", "b"', id="enum"),
        pytest.param(
            {"url": "ftp://a"}, 'spec.url: Invalid value: "ftp://a": must match the pattern ^https?://', id="re"
        ),
        pytest.param(
            {"url": "http://" + "a" * 30}, "spec.url: Too long: 37 characters; write at most 30", id="too long"
        ),
        pytest.param(
            {"items": [{"name": "a"}]}, "spec.items[0].name: Invalid value: 1 characters; write at least 2", id="short"
        ),
        pytest.param({"names": list("abcd")}, "spec.names: Too many: 4 items; write at most 3", id="too many"),
        pytest.param({"names": []}, "spec.names: Invalid value: 0 items; write at least 1", id="too few"),
        pytest.param(
            {"labels": dict.fromkeys("abc", "x")}, "spec.labels: Too many: 3 entries; write at most 2", id="entries"
        ),
        pytest.param({"ratio": 0}, "spec.ratio: Invalid value: 0: must be greater than 0", id="greater"),
        pytest.param({"ratio": 1}, "spec.ratio: Invalid value: 1: must be less than 1", id="less"),
        pytest.param(
            {"items": [{"name": "ab", "weight": 0}]},
            "spec.items[0].weight: Invalid value: 0: must be at least 1",
            id="min",
        ),
        pytest.param({"count": 3}, "spec.count: Invalid value: 3: must be a multiple of 2", id="step"),
        pytest.param({"items": [{}]}, "spec.items[0].name: Required value", id="required"),
        pytest.param({"tags": ["a", "a"]}, 'spec.tags[1]: Duplicate value: "a"', id="duplicate"),
        pytest.param(
            {"since": "x"},
            'spec.since: Invalid value: "x": write an RFC 3339 time like 2026-01-31T12:00:00Z',
            id="time",
        ),
        pytest.param(
            {"items": [{"name": "ab", "x": 1}]},
            "spec.items[0].x: unknown field; known fields: name, weight",
            id="unknown",
        ),
        pytest.param({"free": {"a": {"b": 1}}, "on": None, "first": None}, "", id="valid"),
    ],
)
def test_text_names_field_value_and_what_to_write(spec: dict[str, Any], text: str) -> None:
    assert texts(spec) == ([text] if text else [])


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        pytest.param(None, "metadata: Invalid value: write an object like {name: my-source}", id="none"),
        pytest.param({}, "metadata.name: Required value: write name or generateName", id="no name"),
        pytest.param({"name": 5}, "metadata.name: Invalid value: 5: must be a string; put it in quotes", id="number"),
        pytest.param(
            {"name": "a", "namespace": "../../etc"},
            "metadata.namespace: Invalid value: \"../../etc\": write at most 63 lower-case letters, digits and '-', "
            "like my-namespace",
            id="path as namespace",
        ),
        pytest.param(
            {"generateName": "A-"},
            "metadata.name: Invalid value: \"A-\": write lower-case letters, digits, '-' and '.', like my-source",
            id="generated name in capitals",
        ),
        pytest.param(
            {"name": "a", "annotations": {"a": "b" * 262144}},
            "metadata.annotations: Too long: 262145 bytes; write at most 262144",
            id="long annotations",
        ),
        pytest.param({"name": "a" * 254}, "metadata.name: Too long: 254 characters; write at most 253", id="long"),
        pytest.param(
            {"name": "A"},
            "metadata.name: Invalid value: \"A\": write lower-case letters, digits, '-' and '.', like my-source",
            id="capital",
        ),
        pytest.param(
            {"name": "a", "labels": {"b": True}},
            "metadata.labels.b: Invalid value: true: must be a string; put it in quotes",
            id="label",
        ),
    ],
)
def test_text_about_metadata(metadata: Any, text: str) -> None:
    assert texts({}, metadata=metadata) == [text]


def test_error_about_another_version_shows_the_version_of_the_kind() -> None:
    text = 'write "tests.example.com/v1beta1", the apiVersion of EveryFieldSource'
    assert texts({}, apiVersion="v1") == [f'apiVersion: Invalid value: "v1": {text}']


def test_invisible_characters_of_a_value_are_escaped() -> None:
    assert texts({"endpoint": "http://h/\u200b"})[0].startswith(r'spec.endpoint: Invalid value: "http://h/\u200b": ')


@pytest.mark.parametrize(
    "spec",
    [
        {"endpoint": "https://u:hunter2@h"},
        {"token": "hunter2"},
        {"authorities": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"},
        {"sink": {"uri": "https://u:hunter2@h:0/"}},
    ],
    ids=["password in a URL", "secret without reference", "private key", "password in the sink's URL"],
)
def test_values_that_may_contain_a_secret_are_not_shown(spec: dict[str, Any]) -> None:
    found = texts(spec)
    assert found
    assert "hunter2" not in "".join(found)
