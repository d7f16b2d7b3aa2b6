"""A SourcePool works only in the namespace of the hook."""

from __future__ import annotations

from fastapi.testclient import TestClient

from hooks.app import create_app, new_throttle
from hooks.pool.client import Pools
from tests.pools import FakePool
from tests.unit.hooks.hook import condition, message
from tests.unit.hooks.pool.sources import SETTINGS, YES, answer, request, written


def test_source_pool_in_another_namespace_reaches_no_process() -> None:
    pool = FakePool()
    client = TestClient(
        create_app(SETTINGS, pools=Pools("http://{}:1".format, str, new_throttle(), transport=pool.transport))
    )
    source = {**request().parent.model_dump(), "status": written(answer(request(), YES))}
    foreign = {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": "SourcePool",
        "metadata": {"name": "many", "namespace": "team", "uid": "p"},
        "spec": {"kinds": ["samples.knative.dev/v1alpha1/SampleSource"]},
    }
    body = {"parent": foreign, "children": {}, "related": {"SampleSource.x": {"s": source}}}
    response = client.post("/pool/sync", json=body).json()
    assert pool.requests == []
    assert (response["children"], condition(response, "Ready")) == ([], ("False", "InvalidSpec"))
    assert 'metadata.namespace is "team": create the SourcePool in hooks' in message(response)
