"""Settings come from the environment; a bad one is one line that names it, its value and what to write."""

from __future__ import annotations

import pytest

from hooks.settings import Settings, SettingsError, cluster_domain_from, read_settings

IMAGE = {"ADAPTER_IMAGE": "registry.local/adapter:1"}


def test_only_the_image_is_required() -> None:
    assert read_settings(IMAGE) == Settings(adapter_image="registry.local/adapter:1")


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        pytest.param({"ADAPTER_IMAGE": ""}, 'ADAPTER_IMAGE is ""', id="no-image"),
        pytest.param({"ADAPTER_IMAGE": "a b"}, 'ADAPTER_IMAGE is "a b"', id="image-with-a-space"),
        pytest.param(IMAGE | {"PORT": "0"}, 'PORT is "0": write a port number from 1 to 65535', id="port-0"),
        pytest.param(IMAGE | {"PORT": "x"}, 'PORT is "x"', id="port-word"),
        pytest.param(IMAGE | {"SINK_KINDS": "Service"}, 'SINK_KINDS holds "Service"', id="kind-without-version"),
        pytest.param(IMAGE | {"CLUSTER_DOMAIN": "a/b"}, 'CLUSTER_DOMAIN is "a/b"', id="domain"),
        pytest.param(IMAGE | {"LOG_LEVEL": "loud"}, 'LOG_LEVEL is "loud": write one of debug', id="level"),
    ],
)
def test_a_bad_setting_is_named(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_settings(environ)


def test_sink_kinds_are_a_list_without_doubles() -> None:
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
def test_the_clusters_domain_stands_in_resolv_conf(text: str, expected: str | None) -> None:
    assert cluster_domain_from(text) == expected
    assert read_settings(IMAGE, text).cluster_domain == (expected or "cluster.local")
    assert read_settings(IMAGE | {"CLUSTER_DOMAIN": "set.example"}, text).cluster_domain == "set.example"
