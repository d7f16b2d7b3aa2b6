"""``spec.adapter``: what each field does to the pod, canonical forms, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.declarations import USER
from adapter.contract.environment import reference
from hooks.children.deployment import TEMPLATE_HASH
from hooks.controller import Unprocessable
from hooks.pod_settings import reserved
from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings
from tests.unit.hooks.hook import URL_SINK, answer, condition, env_of, message, observed, pod_of

SINK = {**URL_SINK, "audience": "a"}  # so that the pod has a volume of its own
ENTRY = {"name": "data", "emptyDir": {}}
MOUNT = {"name": "data", "mountPath": "/data"}


def deployment(adapter: Any, **spec: Any) -> Any:
    return answer({"sink": SINK, "adapter": adapter, **spec})["children"][0]


def resources(**sides: Any) -> Any:
    return read({"resources": sides}, "spec.adapter").resources


@pytest.mark.parametrize("adapter", [None, {}, {"resources": {}}, {"env": [], "labels": {}, "tolerations": None}])
def test_source_without_settings_has_the_same_deployment(adapter: Any) -> None:
    assert deployment(adapter) == answer({"sink": SINK})["children"][0]


def test_fields_of_the_pod_are_set() -> None:
    adapter = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "effect": "NoSchedule"}],
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "terminationGracePeriodSeconds": 100,
    }
    pod = deployment(adapter)["spec"]["template"]["spec"]
    expected = {**adapter, "tolerations": [{"key": "a", "operator": "Equal", "effect": "NoSchedule"}]}
    assert {name: pod[name] for name in adapter} == expected


def test_volumes_follow_those_of_the_adapter() -> None:
    pod = deployment({"volumes": [ENTRY], "volumeMounts": [MOUNT]})["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["oidc-token", "data"]
    assert pod["containers"][0]["volumeMounts"][1:] == [MOUNT]


def test_variables_follow_those_of_the_adapter() -> None:
    value = {"secretKeyRef": {"name": "s", "key": "k"}}
    adapter = {
        "env": [{"name": "A", "value": "$(NAME)"}, {"name": "B", "valueFrom": value}, {"name": "C", "value": ""}]
    }
    env = pod_of(answer({"sink": SINK, "adapter": adapter}))["containers"][0]["env"]
    assert env[-3:] == [{"name": "A", "value": "$(NAME)"}, {"name": "B", "valueFrom": value}, {"name": "C"}]


def test_labels_are_those_of_pod_and_deployment_and_annotations_those_of_the_pod_alone() -> None:
    plain = deployment(None)
    labelled = deployment({"labels": {"team": "a"}, "annotations": {"example.com/x": "1"}})
    assert labelled["spec"]["selector"] == plain["spec"]["selector"]
    metadata = labelled["spec"]["template"]["metadata"]
    assert labelled["metadata"]["labels"] == metadata["labels"] == {**plain["metadata"]["labels"], "team": "a"}
    assert metadata["annotations"] == {"example.com/x": "1", **labelled["metadata"]["annotations"]}
    assert labelled["metadata"]["annotations"][TEMPLATE_HASH] != plain["metadata"]["annotations"][TEMPLATE_HASH]


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("1000m", "1"), ("0.1", "100m"), (2, "2"), ("1e3", "1k"), ("1E3", "1k"), ("1500m", "1500m"), (".5", "500m"),
        ("1u", "1m"), ("1500u", "2m"), ("5n", "1m"), ("+1.", "1"), ("1100", "1100"), ("0.0011", "2m"),
    ],
)  # fmt: skip
def test_cpu_is_canonical(cpu: Any, expected: str) -> None:
    assert resources(requests={"cpu": cpu})["requests"]["cpu"] == expected


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("0.25Gi", "256Mi"), ("268435456", "256Mi"), (268435456, "256Mi"), ("1G", "1G"), ("1e9", "1G"), ("1000M", "1G"),
        ("1.1Gi", "1181116007"), ("1181116006400m", "1181116007"), ("2048Mi", "2Gi"), ("1T", "1T"), ("1025Ki", None),
        ("1048577", "1048577"), ("1Ei", "1Ei"), ("100E", "9223372036854775807"),
    ],
)  # fmt: skip
def test_bytes_are_canonical(memory: Any, expected: str | None) -> None:
    assert resources(limits={"memory": memory})["limits"]["memory"] == (expected or memory)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ({}, {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}}),
        (
            {"limits": {"memory": "32Mi", "cpu": "5m"}},
            {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"cpu": "5m", "memory": "32Mi"}},
        ),
        ({"requests": {"memory": "1Gi"}}, {"requests": {"cpu": "10m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
        ({"limits": {"memory": None}}, {"requests": {"cpu": "10m", "memory": "48Mi"}}),
        ({"limits": None, "requests": {"cpu": None, "memory": "0"}}, {"requests": {"memory": "0"}}),
        ({"limits": None, "requests": None}, {}),
    ],
)
def test_missing_resources_have_defaults_and_null_has_none(sides: Any, expected: Any) -> None:
    assert resources(**sides) == expected


def test_null_clears_all_resources() -> None:
    assert read({"resources": None}, "spec.adapter").resources == {}


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        ([], "spec.adapter is an empty list: write an object"),
        ({"hostNetwork": True}, "spec.adapter.hostNetwork is not a setting of an adapter's pod: remove it"),
        ({"tolerations": [{"key": "a", "effect": "x"}]}, """spec.adapter.tolerations[0].effect is "x": write '', 'N"""),
        ({"env": [{"value": "x"}]}, "spec.adapter.env[0].name is missing: it is required"),
        ({"env": [{"name": "K_SINK"}]}, 'spec.adapter.env[0].name is "K_SINK": the adapter or its Python'),
        ({"env": [{"name": "A"}, {"name": "A"}]}, "spec.adapter.env is a list with 2 items: two variables have the"),
        ({"env": [{"name": "A", "value": 1}]}, "spec.adapter.env[0].value is not a text that can be used: write a str"),
        ({"resources": {"limits": {"memory": "100m"}}}, 'spec.adapter.resources.limits.memory is "100m": write bytes'),
        ({"resources": {"limits": {"cpu": "1e999"}}}, 'spec.adapter.resources.limits.cpu is "1e999": write a number'),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            'spec.adapter.resources.requests.cpu is "2": the request is larger than the limit; write at most the limit',
        ),
        ({"labels": {"knative-eventing-source": "x"}}, "spec.adapter.labels is an object with the key knative-event"),
        (
            {"annotations": {"container.apparmor.security.beta.kubernetes.io/receive-adapter": "unconfined"}},
            "spec.adapter.annotations is an object with the key container.apparmor",
        ),
        (
            {"annotations": {"container.seccomp.security.alpha.kubernetes.io/receive-adapter": "unconfined"}},
            "spec.adapter.annotations is an object with the key container.seccomp",
        ),
        (
            {"tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2**63}]},
            "spec.adapter.tolerations[0].tolerationSeconds is 9223372036854775808: write at most 2147483647",
        ),
        ({"env": ["KEY=s3cret"]}, "spec.adapter.env[0] is a text: write an object"),
        ({"env": [{"name": "A", "valueFrom": "s3cret"}]}, "spec.adapter.env[0].valueFrom is a text: write an object"),
        ({"volumes": [ENTRY]}, "spec.adapter.volumes is a list with 1 item: a volume has no mount; add one to"),
        ({"volumeMounts": [MOUNT]}, "spec.adapter.volumeMounts is a list with 1 item: a mount names no volume"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "spec.adapter.volumes[0].hostPath is not a setting"),
        ({"terminationGracePeriodSeconds": 29}, "spec.adapter.terminationGracePeriodSeconds is 29: write at least 30:"),
        ({"terminationGracePeriodSeconds": "60"}, 'spec.adapter.terminationGracePeriodSeconds is "60": write a whole'),
    ],
)  # fmt: skip
def test_wrong_setting_is_an_invalid_spec_and_keeps_a_running_adapter(adapter: Any, text: str) -> None:
    response = answer({"sink": URL_SINK, "adapter": adapter})
    assert condition(response, "Ready") == ("False", "InvalidSpec")
    assert message(response).startswith(text)
    running = observed(answer({"sink": URL_SINK})["children"][0])
    with pytest.raises(Unprocessable):
        answer({"sink": URL_SINK, "adapter": adapter}, children=running)


@pytest.mark.parametrize("spec", [{"delivery": {"timeout": "PT1M"}}, {"delivery": {"deadLetterSink": URL_SINK}}])
def test_least_grace_period_is_the_derived_one(spec: Any) -> None:
    derived = deployment(None, **spec)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    pod = deployment({"terminationGracePeriodSeconds": derived}, **spec)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == derived
    response = answer({"sink": SINK, "adapter": {"terminationGracePeriodSeconds": derived - 1}, **spec})
    assert f"write at least {derived}:" in message(response)


def refused(adapter: Any) -> bool:
    try:
        read(adapter, "spec.adapter")
    except InvalidSettings:
        return True
    return False


def test_all_variables_of_the_adapter_and_of_the_pod_are_refused() -> None:
    documented = {row.name.replace("<n>", "0") for row in reference() if row.set_by != USER}
    set_by_hook = env_of(answer({"sink": SINK, "interval": "1s"})).keys()
    for name in {*documented, *set_by_hook, "PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "K_NEW", "SOURCE_SECRET_17"}:
        assert refused({"env": [{"name": name}]}), name
    assert not refused({"env": [{"name": "HTTPS_PROXY"}, {"name": "PORTS"}, {"name": "MY_K_SINK"}]})


@pytest.mark.parametrize("name", ["PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "GCONV_PATH", "LOCPATH"])
def test_variable_that_changes_the_code_of_the_adapter_is_refused(name: str) -> None:
    assert refused({"env": [{"name": name, "value": "/data"}]})
    assert not refused({"env": [{"name": f"MY_{name}", "value": "/data"}]})


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "/oidc", "/oidc/x", "/knative-custom-certs", "/app", "/app/x", "/usr/local", "/proc", "/dev/shm",
     "/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/ssl", "/etc/ssl/openssl.cnf"],
)  # fmt: skip
def test_mount_over_files_of_the_adapter_is_refused(path: str) -> None:
    assert refused({"volumes": [ENTRY], "volumeMounts": [{**MOUNT, "mountPath": path}]})


@pytest.mark.parametrize("path", ["/data", "/etc/ssl/certs", "/apples", "/oidc-more", "/var/lib/x", "/.hidden"])
def test_mount_beside_them_is_accepted(path: str) -> None:
    assert not refused({"volumes": [ENTRY], "volumeMounts": [{**MOUNT, "mountPath": path}]})


@pytest.mark.parametrize("path", ["data", "/a/", "/a//b", "/a/../b", "/a:b", "/a b", "/..a"])
def test_mount_path_that_is_not_clean_is_refused(path: str) -> None:
    assert refused({"volumes": [ENTRY], "volumeMounts": [{**MOUNT, "mountPath": path}]})


def test_volumes_and_paths_of_the_pod_are_reserved() -> None:
    settings = {"sink": SINK, "delivery": {"deadLetterSink": {**URL_SINK, "audience": "b"}}}
    pod = pod_of(answer(settings))
    assert {volume["name"] for volume in pod["volumes"]} <= reserved.MOUNTS.keys()
    for name, path in reserved.MOUNTS.items():
        assert refused({"volumes": [{**ENTRY, "name": name}], "volumeMounts": [{**MOUNT, "name": name}]})
        assert refused({"volumes": [ENTRY], "volumeMounts": [{**MOUNT, "mountPath": path}]})
