"""spec.delivery: the dead letter sink, the grace period, tokens and certificates of the pod."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.timeouts import TIMEOUTS
from hooks.controller import KindOptions
from hooks.settings import Settings, read_settings
from tests.unit.hooks.hook import (
    SERVICE_SINK,
    URL_SINK,
    answer,
    condition,
    env_of,
    message,
    observed,
    pod_of,
    service,
)

DEAD = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "dead"}}
DEAD_SERVICE = {"Service.v1": {"ns/dead": {"spec": {"ports": [{"port": 80}]}}}}
DEAD_URL = "http://dead.ns.svc.cluster.local"


def test_without_delivery_the_adapter_gets_no_variables_for_it() -> None:
    response = answer({"sink": URL_SINK})
    assert not {"SOURCE_DELIVERY", "DEAD_LETTER_SINK"} & env_of(response).keys()
    types = {condition["type"] for condition in response["status"]["conditions"]}
    assert types == {"Deployed", "Ready", "SinkProvided"}
    assert pod_of(response)["terminationGracePeriodSeconds"] == 30
    assert "volumes" not in pod_of(response)


def test_delivery_reaches_the_adapter_unchanged() -> None:
    response = answer({"sink": URL_SINK, "delivery": {"timeout": "PT1M", "retry": 3, "backoffPolicy": None}})
    assert env_of(response)["SOURCE_DELIVERY"] == '{"retry":3,"timeout":"PT1M"}'
    assert pod_of(response)["terminationGracePeriodSeconds"] == 80


def test_dead_letter_sink_is_resolved_like_a_sink() -> None:
    response = answer({"sink": URL_SINK, "delivery": {"deadLetterSink": DEAD}}, related=DEAD_SERVICE)
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
def test_unresolved_dead_letter_sink_sets_its_condition_and_the_adapter_runs(
    dead: Any, reason: str, named: str
) -> None:
    response = answer({"sink": URL_SINK, "delivery": {"deadLetterSink": dead}})
    assert condition(response, "DeadLetterSinkResolved") == ("False", reason)
    assert named in message(response, "DeadLetterSinkResolved")
    assert condition(response, "Ready") == ("Unknown", "AdapterStarting")
    assert "deadLetterSinkUri" not in response["status"]
    assert "DEAD_LETTER_SINK" not in env_of(response)


def test_running_adapter_does_not_change_when_its_dead_letter_sink_is_deleted() -> None:
    spec = {"sink": URL_SINK, "delivery": {"deadLetterSink": DEAD}}
    wanted = answer(spec, related=DEAD_SERVICE)["children"][0]
    deleted = answer(spec, children=observed(wanted))
    assert deleted["children"] == [wanted]
    assert condition(deleted, "DeadLetterSinkResolved") == ("False", "NotFound")
    assert condition(deleted, "Ready") == ("True", None)


def test_removed_dead_letter_sink_is_removed_from_the_adapter() -> None:
    wanted = answer({"sink": URL_SINK, "delivery": {"deadLetterSink": DEAD}}, related=DEAD_SERVICE)["children"][0]
    assert "DEAD_LETTER_SINK" not in env_of(answer({"sink": URL_SINK}, children=observed(wanted)))


def test_audience_adds_a_token_file_and_no_permissions() -> None:
    delivery = {"deadLetterSink": {"uri": "https://dead", "audience": "dead-aud"}}
    pod = pod_of(answer({"sink": SERVICE_SINK | {"audience": "aud"}, "delivery": delivery}, related=service()))
    assert pod["automountServiceAccountToken"] is False
    [volume] = pod["volumes"]
    tokens = [source["serviceAccountToken"] for source in volume["projected"]["sources"]]
    assert tokens == [
        {"audience": "aud", "expirationSeconds": 3600, "path": "token"},
        {"audience": "dead-aud", "expirationSeconds": 3600, "path": "dead-letter-token"},
    ]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "oidc-token", "mountPath": "/oidc", "readOnly": True}]


def test_trust_bundle_is_mounted_as_optional_config_map() -> None:
    settings = Settings(adapter_image="a:1", trust_bundle="company-ca")
    response = answer({"sink": URL_SINK}, settings=settings)
    [volume] = pod_of(response)["volumes"]
    assert volume["configMap"] == {"name": "company-ca", "optional": True, "defaultMode": 0o444}
    [mount] = pod_of(response)["containers"][0]["volumeMounts"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/knative-custom-certs")


def test_restrictions_of_the_network_are_variables_of_the_adapter_unless_they_are_the_defaults() -> None:
    def restrictions(settings: Settings) -> dict[str, str]:
        [container] = pod_of(answer({"sink": URL_SINK}, settings=settings))["containers"]
        names = ("ALLOWED_HOSTS", "DENIED_NETWORKS", "CLUSTER_DOMAIN")
        return {variable["name"]: variable["value"] for variable in container["env"] if variable["name"] in names}

    assert restrictions(Settings(adapter_image="a:1")) == {}
    given = {"ALLOWED_HOSTS": "*.svc.cluster.local,api.example.com", "DENIED_NETWORKS": "169.254.0.0/16,10.0.0.0/8"}
    assert restrictions(read_settings({"ADAPTER_IMAGE": "a:1", **given})) == given
    domain = {"CLUSTER_DOMAIN": "corp.example"}
    assert restrictions(read_settings({"ADAPTER_IMAGE": "a:1", **domain})) == domain
    assert restrictions(read_settings({"ADAPTER_IMAGE": "a:1", "DENIED_NETWORKS": "none"})) == {
        "DENIED_NETWORKS": "none"
    }


def test_pod_of_a_polling_kind_has_time_for_a_last_poll() -> None:
    spec = {"sink": URL_SINK, "checkpoint": {"none": {}}}
    polling, other = (pod_of(answer(spec, options=KindOptions(polls=polls))) for polls in (True, False))
    assert polling["terminationGracePeriodSeconds"] == other["terminationGracePeriodSeconds"] + TIMEOUTS.last_poll_s
