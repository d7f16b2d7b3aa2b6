"""The kubelet's ``$(VAR)`` rules, as in k8s.io/kubernetes/third_party/forked/golang/expansion."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sources_cli.local.environ import container_environ, expand
from sources_cli.problem import Problem

DEFINED = {"A": "one", "B": "two", "EMPTY": "", "NESTED": "$(A)"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("$(A)", "one", id="whole"),
        pytest.param("x-$(A)-$(B)-y", "x-one-two-y", id="inside"),
        pytest.param("$(EMPTY)", "", id="empty"),
        pytest.param("$(UNKNOWN)", "$(UNKNOWN)", id="unknown-stays"),
        pytest.param("$$(A)", "$(A)", id="escaped"),
        pytest.param("$$$(A)", "$one", id="escaped-then-variable"),
        pytest.param("$$$$(A)", "$$(A)", id="twice-escaped"),
        pytest.param("$(A", "$(A", id="not-closed"),
        pytest.param("$A", "$A", id="no-parenthesis"),
        pytest.param("$", "$", id="lone-dollar"),
        pytest.param("cost: 5$", "cost: 5$", id="dollar-at-end"),
        pytest.param("$()", "$()", id="no-name"),
        pytest.param("$(NESTED)", "$(A)", id="result-is-not-expanded-again"),
    ],
)
def test_references_expand_as_the_kubelet_does(text: str, expected: str) -> None:
    assert expand(text, DEFINED) == expected


def test_an_entry_sees_only_those_before_it() -> None:
    entries = [{"name": "X", "value": "$(Y)"}, {"name": "Y", "value": "1"}, {"name": "Z", "value": "$(Y)"}]
    assert container_environ(entries, {}, {}) == {"X": "$(Y)", "Y": "1", "Z": "1"}


def test_an_entry_with_a_name_only_is_empty() -> None:
    assert container_environ([{"name": "X"}], {}, {}) == {"X": ""}


def test_a_field_reference_is_filled_and_not_expanded() -> None:
    entries = [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    assert container_environ(entries, {"metadata.namespace": "$$x"}, {}) == {"NAMESPACE": "$$x"}


POD = {"metadata.namespace": "prod"}
VALUES = {("Secret", "prod", "s"): {"k": "$(A)x"}, ("ConfigMap", "prod", "s"): {"k": "plain"}}


@pytest.mark.parametrize(
    ("field", "expected"), [("secretKeyRef", "$(A)x"), ("configMapKeyRef", "plain")], ids=["secret", "config-map"]
)
def test_a_key_of_an_object_in_the_files_is_filled_and_not_expanded(field: str, expected: str) -> None:
    entries = [{"name": "A", "value": "1"}, {"name": "TOKEN", "valueFrom": {field: {"name": "s", "key": "k"}}}]
    assert container_environ(entries, POD, VALUES)["TOKEN"] == expected


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        pytest.param({"name": "t", "key": "k"}, 'Secret "t" not found in namespace "prod"', id="no-object"),
        pytest.param({"name": "s", "key": "z"}, 'Secret "s" has no key "z"; it has: k', id="no-key"),
    ],
)
def test_a_reference_to_nothing_is_a_clear_problem_unless_optional(reference: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Problem, match=re.escape(sentence)):
        container_environ([{"name": "T", "valueFrom": {"secretKeyRef": reference}}], POD, VALUES)
    optional = {"name": "T", "valueFrom": {"secretKeyRef": {**reference, "optional": True}}}
    assert container_environ([optional], POD, VALUES) == {}


def test_a_field_that_no_laptop_has_is_a_clear_problem() -> None:
    entries = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    with pytest.raises(Problem, match=r"IP comes from status\.podIP"):
        container_environ(entries, POD, VALUES)
