"""spec.delivery in the hook: the dead letter sink, the grace period, tokens and certificates in the pod."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.controller import KindOptions, Unprocessable, sync
from hooks.observability import Observability
from hooks.protocol import SyncRequest
from hooks.settings import Settings
from tests.unit.hooks.hook import NOW, SERVICE_SINK, answer, condition, observed, parent, service

SINK = {"uri": "http://h"}
DEAD = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "dead"}}
DEAD_SERVICE = {"Service.v1": {"ns/dead": {"spec": {"ports": [{"port": 80}]}}}}
DEAD_URL = "http://dead.ns.svc.cluster.local"


def pod_of(response: Any) -> Any:
    return response["children"][0]["spec"]["template"]["spec"]


def env_of(response: Any) -> dict[str, Any]:
    return {it["name"]: it.get("value") for it in pod_of(response)["containers"][0]["env"]}


def test_without_delivery_the_adapter_is_told_nothing_of_it() -> None:
    response = answer({"sink": SINK})
    assert not {"SOURCE_DELIVERY", "DEAD_LETTER_SINK"} & env_of(response).keys()
    assert {it["type"] for it in response["status"]["conditions"]} == {"Deployed", "Ready", "SinkProvided"}
    assert pod_of(response)["terminationGracePeriodSeconds"] == 30
    assert "volumes" not in pod_of(response)


def test_the_policy_reaches_the_adapter_as_written() -> None:
    response = answer({"sink": SINK, "delivery": {"timeout": "PT1M", "retry": 3, "backoffPolicy": None}})
    assert env_of(response)["SOURCE_DELIVERY"] == '{"retry":3,"timeout":"PT1M"}'
    assert pod_of(response)["terminationGracePeriodSeconds"] == 80


def test_a_dead_letter_sink_is_resolved_like_a_sink() -> None:
    response = answer({"sink": SINK, "delivery": {"deadLetterSink": DEAD}}, related=DEAD_SERVICE)
    assert condition(response, "DeadLetterSinkResolved") == ("True", None)
    assert response["status"]["deadLetterSinkUri"] == DEAD_URL
    assert env_of(response)["DEAD_LETTER_SINK"] == DEAD_URL
    assert pod_of(response)["terminationGracePeriodSeconds"] == 40
    assert "SOURCE_DELIVERY" not in env_of(response)


@pytest.mark.parametrize(
    ("dead", "reason", "named"),
    [
        pytest.param(DEAD, "NotFound", "correct spec.delivery.deadLetterSink.ref", id="absent"),
        pytest.param({}, "SinkMissing", "set spec.delivery.deadLetterSink.ref or ", id="empty"),
        pytest.param({"uri": "/x"}, "InvalidSink", "spec.delivery.deadLetterSink.uri is", id="relative"),
        pytest.param({"ref": DEAD["ref"] | {"kind": "Pod"}}, "SinkKindNotAllowed", "allowed: v1/Service", id="kind"),
    ],
)
def test_one_that_cannot_be_resolved_is_said_and_stops_nothing(dead: Any, reason: str, named: str) -> None:
    response = answer({"sink": SINK, "delivery": {"deadLetterSink": dead}})
    assert condition(response, "DeadLetterSinkResolved") == ("False", reason)
    [message] = [it["message"] for it in response["status"]["conditions"] if it["type"] == "DeadLetterSinkResolved"]
    assert named in message
    assert condition(response, "Ready") == ("Unknown", "AdapterStarting")
    assert "deadLetterSinkUri" not in response["status"]
    assert "DEAD_LETTER_SINK" not in env_of(response)


def test_one_that_is_lost_leaves_the_running_adapter_as_it_is() -> None:
    spec = {"sink": SINK, "delivery": {"deadLetterSink": DEAD}}
    wanted = answer(spec, related=DEAD_SERVICE)["children"][0]
    lost = answer(spec, children=observed(wanted))
    assert lost["children"] == [wanted]
    assert condition(lost, "DeadLetterSinkResolved") == ("False", "NotFound")
    assert condition(lost, "Ready") == ("True", None)


def test_one_that_is_taken_out_of_the_spec_is_taken_from_the_adapter() -> None:
    wanted = answer({"sink": SINK, "delivery": {"deadLetterSink": DEAD}}, related=DEAD_SERVICE)["children"][0]
    assert "DEAD_LETTER_SINK" not in env_of(answer({"sink": SINK}, children=observed(wanted)))


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        pytest.param(3, "spec.delivery is 3: write an object", id="number"),
        pytest.param({"retry": "x"}, 'spec.delivery.retry is "x": write a whole number', id="retry"),
        pytest.param({"format": "json"}, "spec.delivery.format: there is no such field", id="unknown"),
    ],
)
def test_a_policy_that_cannot_be_honoured_is_an_invalid_spec(delivery: Any, said: str) -> None:
    response = answer({"sink": SINK, "delivery": delivery})
    [ready] = response["status"]["conditions"]
    assert (ready["reason"], ready["message"].startswith(said)) == ("InvalidSpec", True)
    with pytest.raises(Unprocessable):
        answer({"sink": SINK, "delivery": delivery}, children=observed(answer({"sink": SINK})["children"][0]))


def test_an_audience_is_a_token_file_and_no_right_of_the_pod() -> None:
    delivery = {"deadLetterSink": {"uri": "https://dead", "audience": "dead-aud"}}
    pod = pod_of(answer({"sink": SERVICE_SINK | {"audience": "aud"}, "delivery": delivery}, related=service()))
    assert pod["automountServiceAccountToken"] is False
    [volume] = pod["volumes"]
    tokens = [it["serviceAccountToken"] for it in volume["projected"]["sources"]]
    assert tokens == [
        {"audience": "aud", "expirationSeconds": 3600, "path": "token"},
        {"audience": "dead-aud", "expirationSeconds": 3600, "path": "dead-letter-token"},
    ]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "oidc-token", "mountPath": "/oidc", "readOnly": True}]


def test_a_trust_bundle_is_mounted_if_it_is_there() -> None:
    settings = Settings(adapter_image="a:1", trust_bundle="company-ca")
    request = SyncRequest.model_validate({"parent": parent({"sink": SINK})})
    response = sync(request, settings, now=NOW, config=lambda kind: Observability(), options=KindOptions())
    [volume] = pod_of(response)["volumes"]
    assert volume["configMap"] == {"name": "company-ca", "optional": True, "defaultMode": 0o444}
    [mount] = pod_of(response)["containers"][0]["volumeMounts"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/knative-custom-certs")
