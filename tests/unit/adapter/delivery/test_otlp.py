"""The variables of OpenTelemetry: when spans are exported, which values are errors, where the exporter connects to."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_network

import pytest
import requests

from adapter.contract.declarations import EnvError
from adapter.contract.egress import Egress
from adapter.contract.environment import AdapterEnv
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.exporter import resource, session, tracing
from adapter.delivery.otlp import endpoint_variable

BASE, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
URL = "http://collector:4318"


@pytest.mark.parametrize(
    ("variables", "chosen"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, None, id="no-endpoint"),
        pytest.param({BASE: URL}, BASE, id="endpoint"),
        pytest.param({TRACES: URL}, TRACES, id="traces"),
        pytest.param({BASE: "grpc:x", TRACES: URL}, TRACES, id="both"),
        pytest.param({BASE: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, BASE, id="protocol"),
        pytest.param(
            {
                BASE: URL,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            BASE,
            id="protocol-of-traces",
        ),
        pytest.param({BASE: URL, "OTEL_TRACES_EXPORTER": "none"}, None, id="exporter-none"),
        pytest.param({BASE: URL, "OTEL_SDK_DISABLED": "TRUE"}, None, id="disabled"),
        pytest.param({BASE: URL, "OTEL_SDK_DISABLED": "false"}, BASE, id="not-disabled"),
    ],
)
def test_spans_are_exported_if_an_endpoint_is_set(variables: dict[str, str], chosen: str | None) -> None:
    assert endpoint_variable(variables, Egress()) == chosen


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {BASE: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": write http/protobuf',
        ),
        ({TRACES: URL, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is"),
        ({BASE: URL, "OTEL_TRACES_EXPORTER": "zipkin"}, 'OTEL_TRACES_EXPORTER is "zipkin": write otlp or none'),
        ({BASE: "collector:4317"}, f"{BASE} is not valid: write an absolute http(s) URL like"),
        ({TRACES: "http://collector.example/"}, f'{TRACES} is not valid: host "collector.example" is not allowed'),
        ({TRACES: "http://169.254.169.254/"}, f"{TRACES} is not valid: host"),
    ],
)
def test_variable_that_cannot_be_used_is_an_error(variables: dict[str, str], message: str) -> None:
    with pytest.raises(EnvError, match=f"^{re.escape(message)}"):
        endpoint_variable(variables, Egress(allowed_hosts=("collector",)))


@pytest.mark.parametrize("denied", [True, False])
def test_exporter_sends_nothing_to_a_denied_network(denied: bool) -> None:
    """The name is allowed, but not its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(40)
        url = f"http://localhost:{server.getsockname()[1]}/v1/traces"
        networks = (ip_network("127.0.0.0/8"), ip_network("::1/128")) if denied else ()
        made = session(AdapterEnv(sink="http://h", denied_networks=networks), url)
        with pytest.raises(requests.exceptions.RequestException) as raised:
            made.post(url, b"spans", timeout=0.2)
        assert ("DENIED_NETWORKS" in str(raised.value)) is denied
        connection, _ = server.accept()
        with connection:
            connection.settimeout(40)
            assert (connection.recv(10) == b"") is denied


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_BSP_MAX_QUEUE_SIZE", "-1"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-3")]
)
def test_limit_that_opentelemetry_refuses_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EnvError, match=f"^{variable} is not valid: OpenTelemetry says: .*integer"):
        tracing(AdapterEnv(sink="http://h", otel={BASE: URL, variable: value}), URL)


def test_exporter_uses_the_proxy_of_the_adapter_only_for_outside_hosts() -> None:
    env = AdapterEnv(sink="http://h", https_proxy="http://user:pw@proxy:3128", http_proxy="http://plain:3128")
    assert session(env, "https://collector.example.com").proxies == {"https": "http://user:pw@proxy:3128"}
    assert session(env, "http://collector.example.com").proxies == {"http": "http://plain:3128"}
    assert session(env, "http://collector.observability.svc:4318").proxies == {}
    assert session(env, "http://collector.example.com").trust_env is False


def test_variables_replace_attributes_of_the_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    env = AdapterEnv(sink="http://h", namespace="ns", name="hello", uid="u1")
    assert resource(env).attributes["service.name"] == "hello"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "source.name=other,team=a")
    attributes = resource(env).attributes
    assert [attributes[name] for name in ("service.name", "source.name", "source.uid", "team")] == [
        "shop",
        "other",
        "u1",
        "a",
    ]


def test_flush_and_the_forced_end_are_within_the_last_part_of_the_grace_period() -> None:
    assert TIMEOUTS.flush_s + TIMEOUTS.margin_s / 2 < TIMEOUTS.margin_s
