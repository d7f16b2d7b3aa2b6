"""The pod of an adapter from its levels: class and cluster in the query, labels and spec.adapter of the source."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.controller import KindOptions
from tests.unit.hooks.hook import URL_SINK, answer, condition, message, pod_of

GRACE_S = 30  # more than the adapter needs with the default policy


def rendered(adapter: Any, defaults: Any = None, **options: Any) -> dict[str, Any]:
    spec = {"sink": URL_SINK, **({} if adapter is None else {"adapter": adapter})}
    return answer(spec, options=KindOptions(adapter=defaults, **options.pop("options", {})), **options)


def labels_of(response: dict[str, Any]) -> list[dict[str, str]]:
    """The labels of Deployment and pods, without those of the selector."""
    deployment = response["children"][0]
    selected = deployment["spec"]["selector"]["matchLabels"]
    assert selected.keys() == {"knative-eventing-source", "knative-eventing-source-name"}
    listed = [each["metadata"]["labels"] for each in (deployment, deployment["spec"]["template"])]
    assert all(labels.items() >= selected.items() for labels in listed)
    return [{name: text for name, text in labels.items() if name not in selected} for labels in listed]


@pytest.mark.parametrize(
    ("adapter", "resources"),
    [
        pytest.param(None, {"requests": {"cpu": "50m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}}, id="nothing"),
        pytest.param(
            {"resources": {"limits": {"cpu": "1000m"}}},
            {"requests": {"cpu": "50m", "memory": "48Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
            id="another limit",
        ),
        pytest.param(
            {"resources": {"limits": {"memory": None}}},
            {"requests": {"cpu": "50m", "memory": "48Mi"}},
            id="no limit",
        ),
    ],
)
def test_source_is_merged_over_the_defaults(adapter: Any, resources: Any) -> None:
    defaults = {"resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "256Mi"}}}
    [container] = pod_of(rendered(adapter, defaults))["containers"]
    assert container["resources"] == resources


def test_lists_of_the_source_replace_default_lists() -> None:
    defaults = {"tolerations": [{"key": "a", "operator": "Exists"}], "imagePullSecrets": [{"name": "shared"}]}
    pod = pod_of(rendered({"tolerations": [{"key": "b", "operator": "Exists"}], "imagePullSecrets": None}, defaults))
    assert [toleration["key"] for toleration in pod["tolerations"]] == ["b"]
    assert "imagePullSecrets" not in pod


def test_listed_labels_are_copied_to_deployment_and_pods_and_others_are_not() -> None:
    options = {"copied_labels": ("team", "absent")}
    response = rendered(None, labels={"team": "blue", "other": "x"}, options=options)
    assert labels_of(response) == [{"team": "blue"}] * 2


def test_copied_label_replaces_a_default_label_and_the_source_replaces_both() -> None:
    options = {"copied_labels": ("team", "tier")}
    defaults = {"labels": {"team": "none", "tier": "low", "zone": "a"}}
    labels = {"team": "blue", "tier": "high"}
    response = rendered({"labels": {"tier": None, "zone": "b"}}, defaults, labels=labels, options=options)
    assert labels_of(response) == [{"team": "blue", "zone": "b"}] * 2


def test_label_of_the_source_that_is_not_copied_leaves_the_deployment_unchanged() -> None:
    options = {"copied_labels": ("team",)}
    first, second = (rendered(None, labels={"team": "a", "n": n}, options=options)["children"] for n in "12")
    assert first == second


def test_grace_period_of_the_defaults_is_raised_to_what_a_source_needs() -> None:
    defaults = {"terminationGracePeriodSeconds": GRACE_S}
    assert pod_of(rendered(None, defaults))["terminationGracePeriodSeconds"] == GRACE_S
    spec = {"sink": URL_SINK, "delivery": {"timeout": "PT60S"}}
    slow = pod_of(answer(spec, options=KindOptions(adapter=defaults)))["terminationGracePeriodSeconds"]
    assert slow == pod_of(answer(spec))["terminationGracePeriodSeconds"] > GRACE_S


def test_error_of_the_merged_levels_names_the_defaults() -> None:
    defaults = {"resources": {"limits": {"memory": "64Mi"}}}
    response = rendered({"resources": {"requests": {"memory": "128Mi"}}}, defaults)
    assert condition(response, "Ready") == ("False", "InvalidSpec")
    assert message(response).startswith("spec.adapter.resources")
    assert message(response).endswith("(merged with the defaults of the kind and of the cluster)")
