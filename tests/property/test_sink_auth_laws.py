"""Credentials of sinks, for any valid or invalid ``sinkAuth``: what the hook writes, and what the adapter reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.auth.problems import problems
from adapter.contract.environment import AdapterEnv
from adapter.model.http_auth import read_sink_auth
from hooks.children.environment import unescape
from hooks.controller import Unprocessable
from tests.sink_auths import references_in, sink_auths
from tests.unit.hooks.hook import answer, env_of, observed, pod_of

CANARY = "c4n4ry-s3cr3t"
SERVICE = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}, "CACerts": ""}
SINK = {"uri": "https://h"}
configs = st.sampled_from([{}, {"token": {"secretKeyRef": {"name": "s", "key": "k"}}}, {"depth": 3}])


def spec_of(config: Any, auth: Any, dead_letter_auth: Any = None) -> dict[str, Any]:
    delivery = {"deadLetterSink": {"uri": "https://dead"}, "deadLetterSinkAuth": dead_letter_auth}
    return {"sink": SINK, "sinkAuth": auth, "delivery": delivery, **config}


def environ_of(response: dict[str, Any], secret: str = "s3cret-{n}") -> dict[str, str]:
    """As the kubelet sets it. Each secret has another value."""
    environ = {"NAMESPACE": "ns"}
    for n, variable in enumerate(pod_of(response)["containers"][0]["env"]):
        if "valueFrom" not in variable:
            environ[variable["name"]] = unescape(variable.get("value", ""))
        elif variable["name"] != "NAMESPACE":
            environ[variable["name"]] = secret.format(n=n)
    return environ


@given(configs, sink_auths(), sink_auths())
def test_adapter_reads_the_credentials_that_the_spec_refers_to(config: Any, auth: Any, dead_letter_auth: Any) -> None:
    env = AdapterEnv.from_environ(environ_of(answer(spec_of(config, auth, dead_letter_auth))))
    assert len(env.secrets) == sum(map(references_in, (config, auth, dead_letter_auth)))
    for variable, given_auth, read in (
        ("SINK_AUTH", auth, env.sink_auth),
        ("DEAD_LETTER_SINK_AUTH", dead_letter_auth, env.dead_letter_sink_auth),
    ):
        credentials = read_sink_auth(env, variable, read)
        assert (credentials.basic is not None) == ("basic" in given_auth)
        assert (credentials.oauth2 is not None) == ("oauth2" in given_auth)
        tls = given_auth.get("tls")
        assert credentials.client_certificate == (Path("/tls-secrets", tls["secretName"]) if tls else None)
        wanted = {name.lower() for name in (*given_auth.get("headers", {}), *given_auth.get("secretHeaders", {}))}
        assert {name.lower() for name in credentials.headers} == wanted
        secrets = set(env.secret_texts())
        plain = set(given_auth.get("headers", {}).values())
        assert set(credentials.secrets()) - plain <= secrets


@given(configs, sink_auths())
def test_source_without_sink_auth_has_the_same_deployment_as_one_with_an_empty_one(config: Any, auth: Any) -> None:
    without = {key: value for key, value in spec_of(config, None).items() if key != "sinkAuth"}
    assert answer(spec_of(config, {}, {}))["children"] == answer(without)["children"]
    assert ("SINK_AUTH" in env_of(answer(spec_of(config, auth)))) == (auth != {})


@given(configs, sink_auths(), sink_auths())
def test_adapter_keeps_its_credentials_while_its_sink_is_not_resolved(config: Any, auth: Any, other: Any) -> None:
    """Credentials of another sink are not sent to the URL that the adapter keeps."""
    first = answer(spec_of(config, auth, auth))
    lost = spec_of(config, other, other) | {"sink": SERVICE}
    second = answer(lost | {"delivery": lost["delivery"] | {"deadLetterSink": SERVICE}}, children=observed_of(first))
    assert second["children"] == first["children"]


def observed_of(response: dict[str, Any]) -> Any:
    return observed(response["children"][0])


texts = st.sampled_from([CANARY, f"http://u:{CANARY}@h", f"Bearer {CANARY}", f"{CANARY}\n"])
anything = st.recursive(
    texts | st.none() | st.booleans() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["secretKeyRef", "name", "key", "password", "username", "X-A"]), inner)
    ),
    max_leaves=6,
)
FIELDS = ["basic", "oauth2", "tls", "headers", "secretHeaders", "other"]
broken = st.dictionaries(st.sampled_from(FIELDS), anything, min_size=1, max_size=3) | anything
basic = st.fixed_dictionaries({"basic": st.fixed_dictionaries({"username": texts, "password": texts})})


@given(broken | basic)
def test_hook_shows_no_text_of_an_invalid_sink_auth(auth: Any) -> None:
    if not problems(auth) or not auth:
        return
    for spec in (spec_of({}, auth), spec_of({}, None, auth)):
        response = answer(spec)
        assert response["status"]["conditions"][0]["reason"] == "InvalidSpec"
        assert CANARY not in json.dumps(response)
        with pytest.raises(Unprocessable) as refused:
            answer(spec, children={"Deployment.apps/v1": {"ns/x": {}}})
        assert CANARY not in str(refused.value)
