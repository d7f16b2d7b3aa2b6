"""A polling kind under the real Metacontroller: edits, secret headers, and the events that its adapter sends."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sources_cli.kind import kind_named
from tests.cluster.edits import told_of
from tests.cluster.handed import environ_of, run
from tests.cluster.samples import installed
from tests.cluster.world import Home, World
from tests.process.harness import display, processes
from tests.process.upstream import Answer, Upstream, items

KIND = kind_named("PollSource", "adapter.sources")
REFERENCE = {"secretKeyRef": {"name": "shop", "key": "authorization"}}


@pytest.fixture(scope="module")
def kind(world: World) -> Iterator[None]:
    with installed(world, KIND):
        yield


@pytest.fixture
def polls(home: Home, kind: None) -> Home:
    home.service()
    return home.of(KIND)


def secret(home: Home) -> str:
    """Create the Secret that ``REFERENCE`` names; return its value, which is unique."""
    value = f"Bearer {uuid.uuid4().hex}"
    metadata = {"name": "shop", "namespace": home.namespace}
    data = {"authorization": f"{value}\n"}  # editors end a file with a newline
    home.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    return value


def test_each_edit_of_a_poll_source_causes_one_rollout_and_ready_is_unknown_until_it_ends(polls: Home) -> None:
    polls.source("orders", url="http://shop.example/orders")
    polls.ready("orders")
    edits: list[dict[str, Any]] = [
        {"url": "http://shop.example/open-orders"},
        {"interval": "20s"},
        {"secretHeaders": {"X-Key": REFERENCE}},
    ]
    for n, edit in enumerate(edits, start=2):
        assert told_of(polls, "orders", **edit) == ["Unknown", "True"], edit
        assert polls.revision() == n, edit
    secret(polls)
    environ = environ_of(polls, "orders")
    assert environ["INTERVAL"] == "20s"
    assert json.loads(environ["SOURCE_CONFIG"])["url"] == "http://shop.example/open-orders"


def test_secret_header_value_appears_only_in_its_secret(polls: Home) -> None:
    value = secret(polls)
    polls.source("orders", url="http://shop.example/orders", secretHeaders={"Authorization": REFERENCE})
    polls.ready("orders")
    [container] = polls.deployment()["spec"]["template"]["spec"]["containers"]
    variables = {it["name"]: it for it in container["env"]}
    assert variables["SOURCE_SECRET_0"] == {"name": "SOURCE_SECRET_0", "valueFrom": REFERENCE}
    config = json.loads(variables["SOURCE_CONFIG"]["value"])
    assert config["secretHeaders"] == {"Authorization": {"$env": "SOURCE_SECRET_0"}}
    told_of(polls, "orders", url="http://shop.example/open-orders")
    exchanges = [it for it in list(polls.world.gate.exchanges) if it.parent[0] == polls.namespace]
    assert {it.path.partition("?")[0] for it in exchanges} == {"/sync", "/customize"}
    places = {
        "requests to the hook": [it.request for it in exchanges],
        "the hook's answers": [it.response for it in exchanges],
        "the source": polls.read("orders"),
        "events": polls.events(),
        **{it: polls.api.list("apps/v1", it, polls.namespace) for it in ("deployments", "replicasets")},
        "pods": polls.pods(),
    }
    spellings = (value, base64.b64encode(f"{value}\n".encode()).decode())
    found = [place for place, it in places.items() if any(spelling in json.dumps(it) for spelling in spellings)]
    assert found == []


def test_adapter_polls_with_the_secret_and_sends_the_items(polls: Home) -> None:
    value = secret(polls)
    with processes() as start, Upstream(lambda headers, n: Answer(items("a", "b"))) as upstream:
        polls.source("orders", url=upstream.url, start="earliest", secretHeaders={"Authorization": REFERENCE})
        polls.ready("orders")
        shown, url = display(start)
        run(start, environ_of(polls, "orders"), url)
        sent = [shown.event() for _ in range(2)]
        assert upstream.asked[0]["authorization"] == value
    assert [(it["id"], it["type"], it["data"]) for it in sent] == [
        (id, "dev.knative.poll.item", {"id": id}) for id in ("a", "b")
    ]
    assert {it["source"] for it in sent} == {
        f"/apis/{KIND.cls.api_version}/namespaces/{polls.namespace}/{KIND.plural}/orders"
    }
