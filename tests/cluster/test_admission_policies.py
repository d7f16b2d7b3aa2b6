"""The sample policies refuse sources with sink hosts or ServiceAccounts that their ConfigMap does not list."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from adapter.contract.kind_names import plural
from sources_cli.kind import kind_named
from sources_cli.schema.crd import crd
from tests.cluster.api import Api, ApiError, Object, eventually
from tests.cluster.control_plane import ControlPlane
from tests.cluster.local_cluster import ROOT, read_yaml

POLICIES = read_yaml(ROOT / "metacontroller/samples/admission-policies.yaml")
HOSTS = "event-display.default.svc.cluster.local, *.events.example.com"
BROKER = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}}
SPECS: dict[str, dict[str, Any]] = {
    "SampleSource": {"interval": "10s"},
    "CronSource": {"schedule": "0 * * * *"},
    "PollSource": {"interval": "1m", "url": "http://feed.example.com"},
    "WebhookSource": {},
}


@pytest.fixture(scope="module")
def ruled(bare_api_server: ControlPlane) -> Iterator[tuple[Api, str]]:
    """An API server with the policies in effect, and a namespace."""
    api, namespace = bare_api_server.api, f"rules-{uuid.uuid4().hex[:8]}"
    for name in SPECS:
        api.serve(crd(kind_named(name, "adapter.sources")))
    for each in (namespace, "sample-source"):
        if not api.find("v1", "namespaces", each):
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}})
    for document in POLICIES:
        if document["kind"].endswith("Binding"):  # other tests use the same API server
            only = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
            document["spec"]["matchResources"] = {"namespaceSelector": only}
        api.apply(document)
    for text in ("events may not be sent to", "spec.serviceAccountName is x"):
        wrong = {"sink": {"uri": "http://x.invalid"}} if "sent" in text else {"serviceAccountName": "x"}
        eventually(
            lambda wrong=wrong: refusal(api, source("SampleSource", namespace, **wrong)),
            lambda found, text=text: text in found,
            f"a refusal with {text}",
        )
    yield api, namespace
    for document in POLICIES:
        if document["kind"].startswith("Validating"):
            api.delete(document["apiVersion"], plural(document["kind"]), document["metadata"]["name"])


def source(kind: str, namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "hello", "namespace": namespace},
        "spec": {"sink": BROKER, **SPECS[kind], **spec},
    }


def refusal(api: Api, document: Object) -> str:
    """The message of the API server; empty if it accepts the object."""
    try:
        api.create(document, dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="ref"),
        pytest.param({"sink": BROKER | {"uri": "/events"}}, id="ref-with-path"),
        pytest.param({"sink": {"uri": "http://event-display.default.svc.cluster.local:80/x"}}, id="listed"),
        pytest.param({"sink": {"uri": "https://Shop.Events.example.com"}}, id="below"),
        pytest.param({"delivery": {"retry": 1}}, id="delivery"),
        pytest.param({"serviceAccountName": "event-sender"}, id="account"),
    ],
)
def test_listed_host_and_account_are_accepted(ruled: tuple[Api, str], kind: str, spec: dict[str, Any]) -> None:
    api, namespace = ruled
    assert refusal(api, source(kind, namespace, **spec)) == ""


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param(
            {"sink": {"uri": "http://evil.example.net/a"}},
            "events may not be sent to evil.example.net: write a sink.ref, or a uri with one of the allowed hosts: "
            f"{HOSTS}",
            id="sink",
        ),
        pytest.param({"sink": {"uri": "http://events.example.com"}}, "sent to events.example.com: ", id="not-below"),
        pytest.param({"sink": {"uri": "http://xevents.example.com"}}, "sent to xevents.example.com: ", id="ending"),
        pytest.param(
            {"delivery": {"deadLetterSink": {"uri": "http://10.0.0.1"}}}, "sent to 10.0.0.1: ", id="dead-letter-sink"
        ),
        pytest.param(
            {"serviceAccountName": "admin"},
            "spec.serviceAccountName is admin: write one of the allowed accounts: default, event-sender",
            id="account",
        ),
    ],
)
def test_other_host_or_account_is_refused_with_the_value_and_the_list(
    ruled: tuple[Api, str], kind: str, spec: dict[str, Any], message: str
) -> None:
    api, namespace = ruled
    assert message in refusal(api, source(kind, namespace, **spec))


def test_edit_is_judged_too(ruled: tuple[Api, str]) -> None:
    api, namespace = ruled
    api.create(source("SampleSource", namespace))
    with pytest.raises(ApiError, match=r"events may not be sent to evil\.example\.net: "):
        api.patch(
            "samples.knative.dev/v1alpha1",
            "samplesources",
            "hello",
            {"spec": {"sink": {"ref": None, "uri": "http://evil.example.net"}}},
            namespace,
        )
