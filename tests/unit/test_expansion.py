"""The kubelet's ``$(VAR)`` rules, as in k8s.io/kubernetes/third_party/forked/golang/expansion."""

from __future__ import annotations

import pytest

from hooks.dev.expansion import container_environ, expand
from hooks.dev.problem import Problem

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
    assert container_environ(entries, {}) == {"X": "$(Y)", "Y": "1", "Z": "1"}


def test_an_entry_with_a_name_only_is_empty() -> None:
    assert container_environ([{"name": "X"}], {}) == {"X": ""}


def test_a_field_reference_is_filled_and_not_expanded() -> None:
    entries = [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    assert container_environ(entries, {"metadata.namespace": "$$x"}) == {"NAMESPACE": "$$x"}


def test_a_secret_reference_is_a_clear_problem() -> None:
    entries = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    with pytest.raises(Problem, match="TOKEN comes from secretKeyRef"):
        container_environ(entries, {})
