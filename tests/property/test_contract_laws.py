"""The adapter reads exactly what the hook wrote into its environment."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.declarations import EnvError
from adapter.contract.egress import DENIED_NETWORKS
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import extension_problem, format_time, parse_time
from adapter.contract.secret_refs import SECRET_VARIABLE, join_references, split_references

text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
filled = text.filter(bool)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda name: extension_problem(name) is None)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(text.filter(lambda key: key != "$env"), inner, max_size=3)
    ),
    max_leaves=8,
)
configs = st.dictionaries(text.filter(lambda key: key != "$env"), values, max_size=4)
sinks = st.sampled_from(["http://h", "https://h:8443/p?q=%20", "http://[::1]:80/"])
deliveries = st.fixed_dictionaries(
    {}, optional={"retry": st.integers(0, 1000), "timeout": st.sampled_from(["PT1S", "PT0.5S"])}
)
NETWORKS = (IPv4Network("10.0.0.0/8"), IPv6Network("::1/128"))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds


@st.composite
def environments(draw: st.DrawFn) -> AdapterEnv:
    secrets = {SECRET_VARIABLE.format(n): draw(text) for n in range(draw(st.integers(0, 3)))}
    placeholders = {f"secret{n}": {"$env": name} for n, name in enumerate(secrets)}
    optional = st.none() | filled
    return AdapterEnv(
        event_source=draw(optional),
        interval=draw(optional),
        namespace=draw(filled),
        name=draw(filled),
        metrics_domain=draw(text),
        logging_config=draw(text),
        klog_verbosity=draw(text),
        observability_config=draw(text),
        kind=draw(st.sampled_from(["SampleSource", "QueueDepthSource"])),
        sources_package=draw(st.sampled_from(["adapter.sources", "mine"])),
        uid=draw(optional),
        created=draw(moments).replace(microsecond=0),
        config={**draw(configs), **placeholders},
        secrets=secrets,
        delivery=draw(st.none() | deliveries),
        sink=draw(sinks),
        dead_letter_sink=draw(st.none() | sinks),
        sink_auth=draw(st.none() | configs),
        dead_letter_sink_auth=draw(st.none() | configs),
        tls_secrets=draw(filled),
        dead_letter_ca_certs=draw(optional),
        dead_letter_audience=draw(optional),
        token_directory=draw(filled),
        trust_bundles=draw(filled),
        allowed_hosts=draw(st.sampled_from([(), ("a.example", "*.b.example", "::1")])),
        denied_networks=draw(
            st.sampled_from([(), DENIED_NETWORKS, (IPv4Network("10.0.0.0/8"), IPv6Network("::1/128"))])
        ),
        cluster_domain=draw(st.sampled_from(["cluster.local", "corp.example"])),
        http_proxy=draw(st.sampled_from([None, "http://p:3128", "http://user:p%40ss@[::1]:1"])),
        https_proxy=draw(st.sampled_from([None, "HTTP://p/"])),
        no_proxy=draw(st.sampled_from(["", "*", ".example.com, 10.0.0.0/8"])),
        ca_certs=draw(optional),
        audience=draw(optional),
        ce_overrides=draw(st.none() | st.dictionaries(names, text, max_size=3)),
        health_port=draw(st.integers(1, 65535)),
        port=draw(st.integers(1, 65535)),
        sink_timeout_s=draw(st.integers(1, 999_999)),
    )


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 -- bounds
def test_time_is_written_in_utc_with_whole_seconds(time: datetime) -> None:
    written = format_time(time)
    assert written == f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert parse_time(written) == time.astimezone(UTC).replace(microsecond=0)


@given(environments())
def test_from_environ_reads_what_to_environ_wrote(env: AdapterEnv) -> None:
    assert AdapterEnv.from_environ(env.to_environ()) == env


PROXY_TEXTS = st.text(st.sampled_from("htp:/@[]%.*,#?u10 é\0\udc80"), max_size=12) | text
TEXTS = st.dictionaries(st.sampled_from(list(AdapterEnv(sink="http://h").to_environ())), text)
PROXY_ENVIRONS = st.dictionaries(
    st.sampled_from(["HTTP_PROXY", "https_proxy", "NO_PROXY", "CLUSTER_DOMAIN"]),
    PROXY_TEXTS | PROXY_TEXTS.map(lambda text: f"http://{text}"),
)


@given(TEXTS | PROXY_ENVIRONS.map(lambda environ: {"K_SINK": "http://h", "EVENT_SOURCE": "/s", **environ}))
def test_any_environment_is_read_or_raises_env_error(environ: dict[str, str]) -> None:
    with contextlib.suppress(EnvError):
        proxies = AdapterEnv.from_environ(environ).egress.proxies
        proxies.proxy_for("a.example", 80, is_https=True)
        proxies.proxy_for("10.0.0.1", 80, is_https=False)


@given(configs, st.dictionaries(st.sampled_from("abc"), text))
def test_references_are_replaced_by_the_values_of_their_variables(
    config: dict[str, Any], secrets: dict[str, str]
) -> None:
    referring = {f"ref-{key}": [{"secretKeyRef": {"name": key}}] for key in secrets}
    plain, references = split_references({**config, **referring})
    assert len(references) >= len(secrets)
    assert not any(f'"secretKeyRef": {{"name": "{key}"' in json.dumps(plain) for key in secrets)
    env = AdapterEnv(sink="http://h", config=plain, secrets=dict.fromkeys(references, "value"))
    assert all(AdapterEnv.from_environ(env.to_environ()).source_fields()[key] == ["value"] for key in referring)


@given(configs)
def test_joined_references_are_the_config_that_was_split(config: dict[str, Any]) -> None:
    assert join_references(*split_references(config, 3)) == config


@pytest.mark.parametrize("variable", ["SOURCE_CONFIG", "SINK_AUTH", "DEAD_LETTER_SINK_AUTH"])
def test_reference_to_a_variable_that_is_not_set_is_an_error_of_that_variable(variable: str) -> None:
    environ = {"K_SINK": "http://h", "EVENT_SOURCE": "/s", variable: '{"a": {"$env": "SOURCE_SECRET_7"}}'}
    with pytest.raises(EnvError, match=f"^SOURCE_SECRET_7 is not set: {variable} refers to it"):
        AdapterEnv.from_environ(environ)


@pytest.mark.parametrize("there", [True, False])
def test_field_is_omitted_if_its_optional_reference_is_missing(there: bool) -> None:
    reference = {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}
    plain, references = split_references({"token": reference, "list": [reference], "deep": {"a": reference, "b": 1}})
    env = AdapterEnv(sink="http://h", config=plain, secrets=dict.fromkeys(references, "value") if there else {})
    fields = AdapterEnv.from_environ(env.to_environ()).source_fields()
    given = {"token": "value", "list": ["value"], "deep": {"a": "value", "b": 1}}
    assert fields == (given if there else {"list": [], "deep": {"b": 1}})
