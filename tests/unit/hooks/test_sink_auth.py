"""``spec.sinkAuth`` in the hook: the environment and volumes of the pod, and sinks that credentials do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hooks.controller import Unprocessable
from tests.unit.hooks.hook import (
    BROKER_SINK,
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

KEY = {"secretKeyRef": {"name": "gateway", "key": "key"}}
BASIC = {"basic": {"username": "admin", "password": KEY}}
API_KEY = {"secretHeaders": {"X-Api-Key": KEY}}
TLS = {"tls": {"secretName": "client"}}
HTTPS = {"uri": "https://h"}


def broker(url: str = "http://b", **address: Any) -> dict[str, Any]:
    return {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": {"address": {"url": url, **address}}}}}


def test_references_are_counted_in_the_config_then_in_both_sinks() -> None:
    spec = {
        "sink": URL_SINK,
        "sinkAuth": BASIC,
        "delivery": {"retry": 1, "deadLetterSink": URL_SINK, "deadLetterSinkAuth": API_KEY},
        "token": {"secretKeyRef": {"name": "own", "key": "k"}},
    }
    response = answer(spec)
    environ = env_of(response)
    assert json.loads(environ["SOURCE_CONFIG"]) == {"token": {"$env": "SOURCE_SECRET_0"}}
    assert json.loads(environ["SINK_AUTH"]) == {"basic": {"password": {"$env": "SOURCE_SECRET_1"}, "username": "admin"}}
    assert json.loads(environ["DEAD_LETTER_SINK_AUTH"]) == {"secretHeaders": {"X-Api-Key": {"$env": "SOURCE_SECRET_2"}}}
    assert json.loads(environ["SOURCE_DELIVERY"]) == {"retry": 1}
    values = {entry["name"]: entry.get("valueFrom") for entry in pod_of(response)["containers"][0]["env"]}
    assert [values[f"SOURCE_SECRET_{n}"] for n in range(3)] == [{"secretKeyRef": {"key": "k", "name": "own"}}, KEY, KEY]


def test_client_certificates_are_mounted_once_per_secret() -> None:
    spec = {
        "sink": HTTPS,
        "sinkAuth": TLS,
        "delivery": {"deadLetterSink": HTTPS, "deadLetterSinkAuth": {"tls": {"secretName": "another"}}},
        "auth": TLS,
        "upstreams": [{"tls": {"secretName": "own"}}],
    }
    pod = pod_of(answer(spec))
    names = ("another", "client", "own")
    assert pod["volumes"] == [
        {"name": f"tls-secret-{n}", "secret": {"secretName": name, "defaultMode": 0o444}}
        for n, name in enumerate(names)
    ]
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": f"tls-secret-{n}", "mountPath": f"/tls-secrets/{name}", "readOnly": True}
        for n, name in enumerate(names)
    ]


@pytest.mark.parametrize("name", ["A", "", "../a", "a/b", "a" * 254, 1, None])
def test_name_that_no_secret_has_is_not_mounted(name: Any) -> None:
    """The class of the kind refuses it. The API server would refuse the Deployment."""
    assert "volumes" not in pod_of(answer({"sink": URL_SINK, "auth": {"tls": {"secretName": name}}}))


@pytest.mark.parametrize(
    ("auth", "sink", "related", "words"),
    [
        pytest.param(TLS, URL_SINK, {}, "tls needs an https sink, and the sink is http://h", id="tls-url"),
        pytest.param(TLS, SERVICE_SINK, service(), "tls needs an https sink, and the sink is http://d", id="tls-ref"),
        pytest.param(BASIC, BROKER_SINK, broker(audience="aud"), 'the sink has the audience "aud"', id="audience"),
        pytest.param(BASIC, BROKER_SINK, broker("http://u:pw@b"), "the URL of the sink has a user", id="user"),
    ],
)
def test_sink_that_the_credentials_do_not_fit_is_invalid(auth: Any, sink: Any, related: Any, words: str) -> None:
    response = answer({"sink": sink, "sinkAuth": auth}, related=related)
    assert condition(response, "SinkProvided") == ("False", "InvalidSink")
    assert message(response).startswith(f"spec.sinkAuth: {words}")
    assert "pw" not in message(response)
    assert response["children"] == []
    dead = {"deadLetterSink": sink, "deadLetterSinkAuth": auth}
    response = answer({"sink": URL_SINK, "delivery": dead}, related=related)
    assert condition(response, "DeadLetterSinkResolved") == ("False", "InvalidSink")
    assert message(response, "DeadLetterSinkResolved").startswith(f"spec.delivery.deadLetterSinkAuth: {words}")


@pytest.mark.parametrize(
    ("auth", "sink", "related"),
    [
        pytest.param(API_KEY, BROKER_SINK, broker(audience="aud"), id="api-key-and-audience"),
        pytest.param(TLS, SERVICE_SINK | {"CACerts": ""}, {"Service.v1": {}}, id="unresolved"),
        pytest.param(TLS, BROKER_SINK, broker("https://b"), id="https-address"),
    ],
)
def test_sink_that_the_credentials_fit_is_not_invalid(auth: Any, sink: Any, related: Any) -> None:
    response = answer({"sink": sink, "sinkAuth": auth}, related=related)
    assert condition(response, "SinkProvided")[1] != "InvalidSink"


def test_running_adapter_keeps_a_url_with_a_password() -> None:
    """The password was allowed before sinkAuth existed. The status says what to write; nothing is deleted."""
    first = answer({"sink": URL_SINK})
    running = json.loads(json.dumps(first["children"][0]).replace('"http://h"', '"http://u:pw@h"'))
    response = answer({"sink": {"uri": "http://u:pw@h"}}, children=observed(running))
    assert condition(response, "SinkProvided") == ("False", "InvalidSink")
    assert message(response) == (
        'spec.sink.uri is "http://h": it has a user or password; write them into a Secret, and use spec.sinkAuth.basic'
    )
    assert env_of(response)["K_SINK"] == "http://u:pw@h"
    assert answer({"sink": {"uri": "http://u:pw@h"}})["children"] == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            {"sinkAuth": {"basic": {"username": "a", "password": "hunter2"}}},
            "spec.sinkAuth.basic.password: write {secretKeyRef: {name, key}} or {configMapKeyRef: {name, key}}",
            id="plain-password",
        ),
        pytest.param(
            {"sinkAuth": {"headers": {"a": "x", "A": "y"}}},
            "spec.sinkAuth.headers: A and a are the same header, because case does not matter; keep one of them",
            id="case",
        ),
        pytest.param({"sinkAuth": "hunter2"}, "spec.sinkAuth: write an object", id="text"),
        pytest.param({"sinkAuth": {"bearer": "hunter2"}}, "spec.sinkAuth.bearer: unknown field", id="unknown"),
        pytest.param(
            {"sinkAuth": {"tls": {}}}, "spec.sinkAuth.tls.secretName: this field is required", id="no-secret-name"
        ),
        pytest.param(
            {"delivery": {"deadLetterSinkAuth": API_KEY}},
            "spec.delivery.deadLetterSinkAuth is set without spec.delivery.deadLetterSink: set it, or remove "
            "deadLetterSinkAuth",
            id="no-dead-letter-sink",
        ),
    ],
)
def test_invalid_sink_auth_is_an_invalid_spec_and_deletes_no_running_adapter(spec: Any, words: str) -> None:
    response = answer({"sink": URL_SINK, **spec})
    assert condition(response, "Ready") == ("False", "InvalidSpec")
    assert message(response) == words
    with pytest.raises(Unprocessable, match=words.split(":")[0]):
        answer({"sink": URL_SINK, **spec}, children={"Deployment.apps/v1": {"ns/x": {}}})


def test_edited_sink_auth_of_a_deployment_is_replaced_while_the_sink_is_not_resolved() -> None:
    running = answer({"sink": HTTPS, "sinkAuth": TLS})["children"][0]
    for entry in running["spec"]["template"]["spec"]["containers"][0]["env"]:
        if entry["name"] == "SINK_AUTH":
            entry["value"] = "{"
    assert "SINK_AUTH" not in env_of(answer({"sink": SERVICE_SINK}, children=observed(running)))
