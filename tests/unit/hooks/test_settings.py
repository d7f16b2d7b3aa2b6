"""Settings come from environment variables. An error is one line with the name, the value and what to write."""

from __future__ import annotations

import pytest

from adapter.contract.declarations import EnvError
from hooks.settings import Settings, cluster_domain_from, read_settings, reference

IMAGE = {"ADAPTER_IMAGE": "registry.local/adapter:1"}


def test_only_the_image_is_required() -> None:
    assert read_settings(IMAGE) == Settings(adapter_image="registry.local/adapter:1")


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        pytest.param({}, "ADAPTER_IMAGE is not set: write the container image", id="no-image"),
        pytest.param({"ADAPTER_IMAGE": ""}, "ADAPTER_IMAGE is not set: write", id="empty-image"),
        pytest.param({"ADAPTER_IMAGE": "a b"}, 'ADAPTER_IMAGE is "a b"', id="image-with-a-space"),
        pytest.param(IMAGE | {"PORT": "0"}, 'PORT is "0": write a port number from 1 to 65535', id="port-0"),
        pytest.param(
            IMAGE | {"HEALTH_PORT": "70000"},
            'HEALTH_PORT is "70000": write a port number from 1 to 65535, or 0 for any free port',
            id="health-port",
        ),
        pytest.param(IMAGE | {"PORT": "x"}, 'PORT is "x"', id="port-word"),
        pytest.param(
            IMAGE | {"SINK_KINDS": "Service"},
            'SINK_KINDS is "Service": "Service" is not <apiVersion>/<Kind>; write one',
            id="kind-without-version",
        ),
        pytest.param(
            IMAGE | {"SINK_NAMESPACES": "own,Shared"},
            'SINK_NAMESPACES is "own,Shared": "Shared" is not a namespace; write all, own, or names of namespaces',
            id="namespace",
        ),
        pytest.param(IMAGE | {"SINK_NAMESPACES": "all,own"}, '"all" is not a namespace', id="all-and-more"),
        pytest.param(IMAGE | {"CLUSTER_DOMAIN": "a/b"}, 'CLUSTER_DOMAIN is "a/b"', id="domain"),
        pytest.param(IMAGE | {"TRUST_BUNDLE": "a/b"}, 'TRUST_BUNDLE is "a/b": write the name of', id="bundle"),
        pytest.param(IMAGE | {"ALLOWED_HOSTS": "a b"}, 'ALLOWED_HOSTS is "a b": "a b" is not a host', id="hosts"),
        pytest.param(IMAGE | {"DENIED_NETWORKS": "x"}, 'DENIED_NETWORKS is "x": "x" is not a network', id="networks"),
        pytest.param(IMAGE | {"DIAGNOSE_PODS": "yes"}, 'DIAGNOSE_PODS is "yes": write true or false', id="bool"),
        pytest.param(
            IMAGE | {"MAX_BODY_BYTES": "4Mi"},
            'MAX_BODY_BYTES is "4Mi": write a number of bytes from 65536 to 268435456',
            id="body-quantity",
        ),
        pytest.param(IMAGE | {"MAX_BODY_BYTES": "65535"}, 'MAX_BODY_BYTES is "65535"', id="body-small"),
        pytest.param(IMAGE | {"LOG_LEVEL": "loud"}, 'LOG_LEVEL is "loud": write one of debug', id="level"),
    ],
)
def test_error_names_the_invalid_setting_and_its_value(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(EnvError, match=sentence):
        read_settings(environ)


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [("", None), ("all", None), ("own", ()), ("a, b,a", ("a", "b")), ("own,a", ("a",))],
)
def test_sink_namespaces_are_all_or_a_list(text: str, namespaces: tuple[str, ...] | None) -> None:
    assert read_settings(IMAGE | {"SINK_NAMESPACES": text}).sink_namespaces == namespaces


def test_duplicate_sink_kinds_are_removed() -> None:
    kinds = read_settings(IMAGE | {"SINK_KINDS": "v1/Service, eventing.knative.dev/v1/Broker,v1/Service,"}).sink_kinds
    assert kinds == ("v1/Service", "eventing.knative.dev/v1/Broker")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("search default.svc.corp.example svc.corp.example corp.example\n", "corp.example", id="pod"),
        pytest.param("search svc.cluster.local.\n", "cluster.local", id="trailing-dot"),
        pytest.param("nameserver 10.0.0.1\nsearch lan\n", None, id="laptop"),
        pytest.param("# search svc.no\n", None, id="comment"),
        pytest.param("", None, id="empty"),
    ],
)
def test_cluster_domain_is_read_from_resolv_conf(text: str, expected: str | None) -> None:
    assert cluster_domain_from(text) == expected
    assert read_settings(IMAGE, text).cluster_domain == (expected or "cluster.local")
    assert read_settings(IMAGE | {"CLUSTER_DOMAIN": "set.example"}, text).cluster_domain == "set.example"


def test_reference_lists_name_default_and_description_of_each_setting() -> None:
    rows = {name: (default, description) for name, default, description in reference()}
    assert list(rows) == [
        "ADAPTER_IMAGE", "HOST", "PORT", "HEALTH_PORT", "TLS_DIR", "CLIENT_CA_FILE", "AUTH_TOKEN_FILE",
        "SINK_KINDS", "SINK_NAMESPACES", "CLUSTER_DOMAIN", "DIAGNOSE_PODS", "TRUST_BUNDLE", "ALLOWED_HOSTS",
        "DENIED_NETWORKS", "CONFIG_DIR", "MAX_BODY_BYTES", "NAMESPACE", "POOL_URL", "POOL_TOKEN_FILE",
        "MAX_POOL_BODY_BYTES", "LOG_LEVEL",
    ]  # fmt: skip
    assert [rows[name][0] for name in ("ADAPTER_IMAGE", "PORT", "SINK_KINDS", "DIAGNOSE_PODS", "TRUST_BUNDLE")] == [
        "required", "`8080`", "`v1/Service`", "`false`", "none",
    ]  # fmt: skip
    assert all(description.endswith(".") for _, description in rows.values())
