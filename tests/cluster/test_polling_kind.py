"""A polling kind under the real Metacontroller: edits, secret headers, and the events that its adapter sends."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sources_cli.kind import kind_named
from tests.cluster.adapters import environ_of, run_adapter
from tests.cluster.edits import ready_statuses_after_edit
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import installed
from tests.process.harness import display, processes
from tests.process.upstream import Answer, Upstream, items

KIND = kind_named("PollSource", "adapter.sources")
REFERENCE = {"secretKeyRef": {"name": "shop", "key": "authorization"}}


@pytest.fixture(scope="module")
def kind(cluster: LocalCluster) -> Iterator[None]:
    with installed(cluster, KIND):
        yield


@pytest.fixture
def polls(ns: SourceNamespace, kind: None) -> SourceNamespace:
    ns.service()
    return ns.for_kind(KIND)


def secret(ns: SourceNamespace) -> str:
    """Create the Secret that ``REFERENCE`` names; return its value, which is unique."""
    value = f"Bearer {uuid.uuid4().hex}"
    metadata = {"name": "shop", "namespace": ns.name}
    data = {"authorization": f"{value}\n"}  # editors end a file with a newline
    ns.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    return value


def test_each_edit_of_a_poll_source_causes_one_rollout_and_ready_is_unknown_until_it_ends(
    polls: SourceNamespace,
) -> None:
    polls.source("orders", url="http://shop.example/orders")
    polls.wait_until_ready("orders")
    edits: list[dict[str, Any]] = [
        {"url": "http://shop.example/open-orders"},
        {"interval": "20s"},
        {"secretHeaders": {"X-Key": REFERENCE}},
    ]
    for n, edit in enumerate(edits, start=2):
        assert ready_statuses_after_edit(polls, "orders", **edit) == ["Unknown", "True"], edit
        assert polls.revision() == n, edit
    secret(polls)
    environ = environ_of(polls, "orders")
    assert environ["INTERVAL"] == "20s"
    assert environ["CHECKPOINT_URL"] == "file:///checkpoint"  # the default of a kind that polls
    assert json.loads(environ["SOURCE_CONFIG"])["url"] == "http://shop.example/open-orders"


def test_secret_header_value_appears_only_in_its_secret(polls: SourceNamespace) -> None:
    value = secret(polls)
    polls.source("orders", url="http://shop.example/orders", secretHeaders={"Authorization": REFERENCE})
    polls.wait_until_ready("orders")
    [container] = polls.deployment()["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable for variable in container["env"]}
    assert variables["SOURCE_SECRET_0"] == {"name": "SOURCE_SECRET_0", "valueFrom": REFERENCE}
    config = json.loads(variables["SOURCE_CONFIG"]["value"])
    assert config["secretHeaders"] == {"Authorization": {"$env": "SOURCE_SECRET_0"}}
    ready_statuses_after_edit(polls, "orders", url="http://shop.example/open-orders")
    exchanges = [exchange for exchange in list(polls.cluster.hook_proxy.exchanges) if exchange.parent[0] == polls.name]
    assert {exchange.path.partition("?")[0] for exchange in exchanges} == {"/sync", "/customize"}
    places = {
        "requests to the hook": [exchange.request for exchange in exchanges],
        "the hook's answers": [exchange.response for exchange in exchanges],
        "the source": polls.read("orders"),
        "events": polls.events(),
        **{resource: polls.api.list("apps/v1", resource, polls.name) for resource in ("deployments", "replicasets")},
        "pods": polls.pods(),
    }
    spellings = (value, base64.b64encode(f"{value}\n".encode()).decode())
    found = [
        place for place, content in places.items() if any(spelling in json.dumps(content) for spelling in spellings)
    ]
    assert found == []


def test_adapter_polls_with_the_secret_and_sends_the_items(polls: SourceNamespace) -> None:
    value = secret(polls)
    with processes() as start, Upstream(lambda headers, n: Answer(items("a", "b"))) as upstream:
        polls.source("orders", url=upstream.url, start="earliest", secretHeaders={"Authorization": REFERENCE})
        polls.wait_until_ready("orders")
        shown, url = display(start)
        run_adapter(start, environ_of(polls, "orders"), url)
        sent = [shown.event() for _ in range(2)]
        assert upstream.asked[0]["authorization"] == value
    assert [(event["id"], event["type"], event["data"]) for event in sent] == [
        (id, "dev.knative.poll.item", {"id": id}) for id in ("a", "b")
    ]
    assert {event["source"] for event in sent} == {
        f"/apis/{KIND.api_version}/namespaces/{polls.name}/{KIND.plural}/orders"
    }
