"""The hook's decisions, one claim a test.

Vectors: Knative's ChildName, Destination resolution, the conditions of the design.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from adapter.contract.environment import AdapterEnv
from hooks.__main__ import _listen
from hooks.controller import KindOptions, Unprocessable, customize, sync
from hooks.deployments import _unescape, escape
from hooks.names import child_name, kebab, plural
from hooks.observability import Observability
from hooks.protocol import CustomizeRequest, SyncRequest
from tests.unit.hooks.hook import (
    BROKER_SINK,
    NOW,
    SERVICE_SINK,
    SETTINGS,
    UID,
    answer,
    condition,
    observed,
    parent,
    service,
)


@pytest.mark.parametrize(
    ("name", "child"),
    [
        ("hb", "samplesource-hb-11111111-2222-3333-4444-555555555555"),
        ("sample-source", "samplesource-sample-source-11111111-2222-3333-4444-555555555555"),
        ("a" * 14, "samplesource-aaaaaaaaaaaaaa-1e44bc9c696f06ca609911bd7937488c111"),
        ("b" * 40, "samplesource-bbbbbbbbbbbbbbbbbbebae277666598aff45af7a5c2a8065d2"),
        ("c" * 63, "samplesource-cccccccccccccccccc882a78be20eb0035459111c2701a1c1c"),
        ("my.dotted.name", "samplesource-my.dotted.name-4bac58509e8960fc6cae969514c0c9ac111"),
    ],
)
def test_a_deployment_is_named_as_knative_names_it(name: str, child: str) -> None:
    assert child_name(f"samplesource-{name}-", UID) == child


@pytest.mark.parametrize(
    ("prefix", "suffix", "child"),
    [
        ("p" * 63, "s", "p" * 30 + "d589298c9732d002373545aecabd1105" + "s"),
        ("p", "s" * 63, "pc8427f8f1756a42a7ceb88671970a7a8" + "s" * 30),
        ("p" * 40, "s" * 30, "p92d2a910411dfdc344478c1a890a7a4f" + "s" * 30),
        ("ab", "-" * 63, "ab4c01ad4d076fc7c22bd861b7c3f0b907"),
    ],
    ids=["long-parent", "long-suffix", "both-long", "trailing-dashes"],
)
def test_child_names_follow_kmeta(prefix: str, suffix: str, child: str) -> None:
    assert child_name(prefix, suffix) == child


def test_names_of_kinds() -> None:
    assert [plural(kind) for kind in ("SampleSource", "Policy", "Bus", "Endpoints")] == [
        "samplesources",
        "policies",
        "buses",
        "endpoints",
    ]
    assert kebab("QueueDepthSource") == "queue-depth-source"


def test_an_image_of_the_kinds_own_says_itself_what_it_runs() -> None:
    def container(**given: str) -> Any:
        deployment = answer({"sink": {"uri": "http://h"}}, **given)["children"][0]
        return deployment["spec"]["template"]["spec"]["containers"][0]

    own = container(image="kind:1")
    assert container() == {**own, "image": "adapter:1", "command": ["python", "-m", "adapter"]}
    assert "command" not in own


HOST = "display.ns.svc.cluster.local"
CERT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("sink", "related", "uri"),
    [
        pytest.param({"uri": "http://h/p?q=1"}, {}, "http://h/p?q=1", id="uri"),
        pytest.param(SERVICE_SINK, service(), f"http://{HOST}", id="default-port-left-out"),
        pytest.param(SERVICE_SINK, service([(None, 8080)]), f"http://{HOST}:8080", id="only-port"),
        pytest.param(SERVICE_SINK, service([("m", 9), ("http", 81)]), f"http://{HOST}:81", id="port-named-http"),
        pytest.param(SERVICE_SINK, service([("m", 9), ("x", 80)]), f"http://{HOST}", id="port-80"),
        pytest.param(
            {"ref": SERVICE_SINK["ref"] | {"port": "m"}},
            service([("m", 9), ("x", 80)]),
            f"http://{HOST}:9",
            id="by-name",
        ),
        pytest.param(SERVICE_SINK | {"CACerts": CERT}, service([(None, 443)]), f"https://{HOST}", id="https"),
        pytest.param(SERVICE_SINK | {"uri": "/p?q"}, service(), f"http://{HOST}/p?q", id="relative-uri"),
        pytest.param(
            SERVICE_SINK,
            {
                "Service.v1": {
                    "ns/display": {"spec": {"clusterIP": "None", "ports": [{"port": 80, "targetPort": 8081}]}}
                }
            },
            f"http://{HOST}:8081",
            id="headless",
        ),
        pytest.param(
            BROKER_SINK | {"uri": "c"},
            {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": {"address": {"url": "http://b/x/y"}}}}},
            "http://b/x/c",
            id="addressable-joined",
        ),
        pytest.param(
            BROKER_SINK,
            {
                "Broker.eventing.knative.dev/v1": {
                    "ns/b": {"status": {"address": {"url": "http://old"}, "addresses": [{"url": "http://new"}]}}
                }
            },
            "http://new",
            id="addresses-before-address",
        ),
    ],
)
def test_a_sink_resolves(sink: Any, related: Any, uri: str) -> None:
    response = answer({"sink": sink}, related=related)
    assert response["status"]["sinkUri"] == uri
    assert condition(response, "SinkProvided") == ("True", None)


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
        pytest.param(SERVICE_SINK, service([("a", 1), ("b", 2)]), "AddressNotFound", id="ambiguous-ports"),
        pytest.param({"ref": SERVICE_SINK["ref"] | {"port": 7}}, service(), "AddressNotFound", id="no-such-port"),
        pytest.param(BROKER_SINK, {"Broker.eventing.knative.dev/v1": {"ns/b": {}}}, "NotAddressable", id="no-address"),
        pytest.param(
            BROKER_SINK,
            {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": {"address": {"url": "//h/x"}}}}},
            "AddressInvalid",
            id="address-without-scheme",
        ),
    ],
)
def test_an_unresolvable_sink_says_why(sink: Any, related: Any, reason: str) -> None:
    response = answer({"sink": sink}, related=related)
    assert condition(response, "Ready") == condition(response, "SinkProvided") == ("False", reason)
    assert "sinkUri" not in response["status"]
    assert response["children"] == []


def test_the_environment_is_read_back_by_the_adapter() -> None:
    spec = {"sink": {"uri": "http://h/$(NAME)"}, "interval": "5s", "depth": 3, "token": {"secretKeyRef": {"name": "s"}}}
    env = answer(spec)["children"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    by_name = {one["name"]: one for one in env}
    assert by_name["SOURCE_SECRET_0"]["valueFrom"] == {"secretKeyRef": {"name": "s"}}
    assert by_name["K_SINK"]["value"] == "http://h/$$(NAME)"
    assert by_name["K_CE_OVERRIDES"] == {"name": "K_CE_OVERRIDES"}
    read = AdapterEnv.from_environ(
        {one["name"]: _unescape(one.get("value", "x" if "valueFrom" in one else "")) for one in env}
    )
    assert (read.sink, read.source_fields()) == ("http://h/$(NAME)", {"depth": 3, "token": "x", "interval": "5s"})


@pytest.mark.parametrize("text", ["$", "$$", "$(A)", "$$(A)", "a$b", "$$$", "$$$$(", "x$"])
def test_escaped_text_comes_back(text: str) -> None:
    assert _unescape(escape(text)) == text


def test_a_lost_sink_keeps_the_running_adapter_as_it_is() -> None:
    wanted = answer({"sink": SERVICE_SINK}, related=service())["children"][0]
    lost = answer({"sink": SERVICE_SINK}, children=observed(wanted))
    assert lost["children"] == [wanted]
    assert condition(lost, "Ready") == ("False", "NotFound")
    assert "sinkUri" not in lost["status"]


@pytest.mark.parametrize(
    "bad",
    [
        {"interval": "10"},
        {"interval": 5},
        {"serviceAccountName": "No_Such"},
        {"serviceAccountName": "a..b"},
        {"ceOverrides": {"extensions": {"type": "x"}}},
        {"ceOverrides": {"extensions": {"a": 1}}},
    ],
)
def test_an_impossible_spec_never_deletes_an_adapter(bad: Any) -> None:
    spec = {"sink": {"uri": "http://h"}}
    wanted = answer(spec)["children"][0]
    assert condition(answer({**spec, **bad}), "Ready") == ("False", "InvalidSpec")
    with pytest.raises(Unprocessable, match=r"spec\."):
        answer({**spec, **bad}, children=observed(wanted))


def test_a_long_name_still_gives_valid_labels_and_the_annotation_sets_the_source() -> None:
    chosen = {"samples.knative.dev/event-source": "sample.knative.dev/heartbeat-source"}
    response = answer({"sink": {"uri": "http://h"}}, name="n" * 200, annotations=chosen, types=("t",))
    assert len(response["children"][0]["metadata"]["labels"]["knative-eventing-source-name"]) == 63
    assert response["status"]["ceAttributes"] == [{"type": "t", "source": "sample.knative.dev/heartbeat-source"}]


@pytest.mark.parametrize(
    ("value", "type"),
    [("own", "own"), ("", "t"), (None, "t"), (7, "t"), ({}, "t")],
    ids=["text", "empty", "none", "number", "object"],
)
def test_a_field_of_the_spec_may_say_the_type(value: Any, type: str) -> None:
    body = {"parent": parent({"sink": {"uri": "http://h"}, "eventType": value}), "children": {}, "related": {}}
    options = KindOptions(types=("t",), type_field="eventType")
    response = sync(
        SyncRequest.model_validate(body), SETTINGS, now=NOW, config=lambda kind: Observability(), options=options
    )
    assert [it["type"] for it in response["status"]["ceAttributes"]] == [type]


def test_hook_loads_only_the_contract_and_serving_packages_of_the_adapter() -> None:
    code = "import hooks.app, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    ours = {".".join(name.split(".")[:2]) for name in loaded if name.split(".")[0] in ("adapter", "sources_cli")}
    assert ours <= {"adapter", "adapter.contract", "adapter.serving"}
    assert "adapter.contract.environment" in loaded


def test_the_hooks_socket_names_its_protocol_so_that_answers_do_not_wait_for_acks() -> None:
    with _listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_the_kinds_query_says_which_sinks_it_allows_and_so_what_is_looked_up() -> None:
    body = {"parent": parent({"sink": BROKER_SINK})}
    request = CustomizeRequest.model_validate(body)
    assert customize(request, SETTINGS)["relatedResources"]
    only_services = KindOptions(sink_kinds=("v1/Service",))
    assert customize(request, SETTINGS, options=only_services) == {"relatedResources": []}
    answered = sync(
        SyncRequest.model_validate(body), SETTINGS, now=NOW, config=lambda kind: Observability(), options=only_services
    )
    assert condition(dict(answered), "SinkProvided") == ("False", "SinkKindNotAllowed")


def test_what_yaml_has_no_place_for_is_escaped_or_refused() -> None:
    """Server-side apply sends YAML, and the API server would refuse the whole Deployment."""
    odd = "a\x7f\x9f\ufffe"
    spec = {"sink": {"uri": "http://h"}, "text": odd, "ceOverrides": {"extensions": {"x": odd}}}
    [child] = answer(spec)["children"]
    env = {it["name"]: it.get("value", "") for it in child["spec"]["template"]["spec"]["containers"][0]["env"]}
    for name in ("SOURCE_CONFIG", "K_CE_OVERRIDES"):
        assert not set(odd[1:]) & set(env[name])
    read = AdapterEnv.from_environ({name: value for name, value in env.items() if value})
    assert (read.config["text"], read.ce_overrides) == (odd, {"x": odd})
    assert condition(answer({"sink": {"uri": "http://h", "audience": odd}}), "SinkProvided") == ("False", "InvalidSink")
    annotated = answer(spec, annotations={"samples.knative.dev/event-source": odd})
    assert condition(annotated, "Ready") == ("False", "InvalidSpec")
