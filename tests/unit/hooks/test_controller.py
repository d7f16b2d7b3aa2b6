"""The response to a sync: children and status, and when the running adapter does not change."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.controller import KindOptions, Unprocessable, customize
from hooks.protocol import CustomizeRequest
from tests.unit.hooks.hook import (
    BROKER_SINK,
    SERVICE_SINK,
    SETTINGS,
    URL_SINK,
    answer,
    condition,
    observed,
    parent,
    service,
)


@pytest.mark.parametrize(
    ("sink", "related", "reason"),
    [
        pytest.param(None, {}, "SinkMissing", id="none"),
        pytest.param({"uri": "//host/x"}, {}, "InvalidSink", id="no-scheme"),
        pytest.param({"uri": "ftp://h"}, {}, "InvalidSink", id="ftp"),
        pytest.param({"uri": "http://[::1"}, {}, "InvalidSink", id="unparseable"),
        pytest.param(SERVICE_SINK | {"uri": "http://x/"}, service(), "InvalidSink", id="ref-and-absolute"),
        pytest.param(SERVICE_SINK | {"uri": "//evil/x"}, service(), "InvalidSink", id="ref-and-network-path"),
        pytest.param(SERVICE_SINK | {"CACerts": "nope"}, service(), "InvalidSink", id="no-pem"),
        pytest.param({"ref": {"kind": "Service"}}, {}, "InvalidSink", id="ref-incomplete"),
        pytest.param(
            {"ref": {"apiVersion": "x.y/v1", "kind": "Z", "name": "z"}}, {}, "SinkKindNotAllowed", id="kind-not-allowed"
        ),
        pytest.param(SERVICE_SINK, {}, "NotFound", id="absent"),
    ],
)
def test_unresolved_sink_is_a_false_condition_without_children(sink: Any, related: Any, reason: str) -> None:
    response = answer({"sink": sink}, related=related)
    assert condition(response, "Ready") == condition(response, "SinkProvided") == ("False", reason)
    assert "sinkUri" not in response["status"]
    assert response["children"] == []


def test_running_adapter_does_not_change_when_its_sink_is_deleted() -> None:
    wanted = answer({"sink": SERVICE_SINK}, related=service())["children"][0]
    deleted = answer({"sink": SERVICE_SINK}, children=observed(wanted))
    assert deleted["children"] == [wanted]
    assert condition(deleted, "Ready") == ("False", "NotFound")
    assert "sinkUri" not in deleted["status"]


def test_deleted_sink_is_unprocessable_if_the_deployment_sets_no_sink() -> None:
    wanted = answer({"sink": SERVICE_SINK}, related=service())["children"][0]
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = []
    with pytest.raises(Unprocessable, match="sets no K_SINK, so its present sink is unknown"):
        answer({"sink": SERVICE_SINK}, children=observed(wanted))


@pytest.mark.parametrize(
    ("spec", "name"),
    [({}, "default"), ({"serviceAccountName": ""}, "default"), ({"serviceAccountName": "robot"}, "robot")],
    ids=["none", "empty", "named"],
)
@pytest.mark.parametrize("sink", [URL_SINK, SERVICE_SINK], ids=["resolved", "unresolved"])
def test_status_names_the_service_account_of_the_pod(sink: Any, spec: dict[str, Any], name: str) -> None:
    """An EventPolicy reads it: ``from.ref`` does not resolve without it, whether the sink is resolved or not."""
    response = answer({"sink": sink, **spec})
    assert response["status"]["auth"] == {"serviceAccountName": name}
    for deployment in response["children"]:
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == name


def test_status_lists_the_types_with_their_source() -> None:
    chosen = {"samples.knative.dev/event-source": "sample.knative.dev/heartbeat-source"}
    response = answer({"sink": URL_SINK}, annotations=chosen, types=("t",))
    assert response["status"]["ceAttributes"] == [{"type": "t", "source": "sample.knative.dev/heartbeat-source"}]


@pytest.mark.parametrize(
    ("value", "type"),
    [("own", "own"), ("", "t"), (None, "t"), (7, "t"), ({}, "t")],
    ids=["text", "empty", "none", "number", "object"],
)
def test_a_field_of_the_spec_can_set_the_type(value: Any, type: str) -> None:
    options = KindOptions(types=("t",), type_field="eventType")
    response = answer({"sink": URL_SINK, "eventType": value}, options=options)
    assert [attributes["type"] for attributes in response["status"]["ceAttributes"]] == [type]


def test_sink_kinds_of_the_query_override_the_setting() -> None:
    request = CustomizeRequest.model_validate({"parent": parent({"sink": BROKER_SINK})})
    assert customize(request, SETTINGS)["relatedResources"]
    only_services = KindOptions(sink_kinds=("v1/Service",))
    assert customize(request, SETTINGS, options=only_services) == {"relatedResources": []}
    response = answer({"sink": BROKER_SINK}, options=only_services)
    assert condition(response, "SinkProvided") == ("False", "SinkKindNotAllowed")
