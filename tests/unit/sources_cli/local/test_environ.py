"""The kubelet's ``$(VAR)`` rules, as in k8s.io/kubernetes/third_party/forked/golang/expansion."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sources_cli.local.environ import container_environ, expand, proxies_of
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


def test_entry_can_refer_only_to_earlier_entries() -> None:
    entries = [{"name": "X", "value": "$(Y)"}, {"name": "Y", "value": "1"}, {"name": "Z", "value": "$(Y)"}]
    assert container_environ(entries, {}, {}) == {"X": "$(Y)", "Y": "1", "Z": "1"}


def test_entry_without_value_is_empty() -> None:
    assert container_environ([{"name": "X"}], {}, {}) == {"X": ""}


def test_value_of_a_field_reference_is_not_expanded() -> None:
    entries = [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    assert container_environ(entries, {"metadata.namespace": "$$x"}, {}) == {"NAMESPACE": "$$x"}


POD = {"metadata.namespace": "prod"}
VALUES = {("Secret", "prod", "s"): {"k": "$(A)x"}, ("ConfigMap", "prod", "s"): {"k": "plain"}}


@pytest.mark.parametrize(
    ("field", "expected"), [("secretKeyRef", "$(A)x"), ("configMapKeyRef", "plain")], ids=["secret", "config-map"]
)
def test_value_from_a_secret_or_configmap_is_not_expanded(field: str, expected: str) -> None:
    entries = [{"name": "A", "value": "1"}, {"name": "TOKEN", "valueFrom": {field: {"name": "s", "key": "k"}}}]
    assert container_environ(entries, POD, VALUES)["TOKEN"] == expected


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        pytest.param({"name": "t", "key": "k"}, 'Secret "t" not found in namespace "prod"', id="no-object"),
        pytest.param({"name": "s", "key": "z"}, 'Secret "s" has no key "z"; it has: k', id="no-key"),
    ],
)
def test_missing_reference_is_a_problem_unless_it_is_optional(reference: dict[str, Any], message: str) -> None:
    with pytest.raises(Problem, match=re.escape(message)):
        container_environ([{"name": "T", "valueFrom": {"secretKeyRef": reference}}], POD, VALUES)
    optional = {"name": "T", "valueFrom": {"secretKeyRef": {**reference, "optional": True}}}
    assert container_environ([optional], POD, VALUES) == {}


def test_field_that_exists_only_in_a_cluster_is_a_problem() -> None:
    entries = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    with pytest.raises(Problem, match=r"IP refers to status\.podIP, which exists only in a cluster"):
        container_environ(entries, POD, VALUES)


@pytest.mark.parametrize(
    ("machine", "container", "expected"),
    [
        pytest.param({"HOME": "/h", "https_proxy": "http://p:1"}, {}, {"HTTPS_PROXY": "http://p:1"}, id="inherited"),
        pytest.param({"NO_PROXY": "a", "no_proxy": "b"}, {}, {"NO_PROXY": "a"}, id="both-cases"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, {"http_proxy": "http://q:1"}, {}, id="container-sets-it"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, {"HTTP_PROXY": ""}, {}, id="container-clears-it"),
        pytest.param({"HTTP_PROXY": ""}, {}, {}, id="empty"),
    ],
)
def test_adapter_gets_the_proxies_of_this_machine_unless_its_container_sets_them(
    machine: dict[str, str], container: dict[str, str], expected: dict[str, str]
) -> None:
    assert proxies_of(machine, container) == expected
