"""Bodies of ``/sync`` and ``/customize``: always a JSON answer, never 5xx."""

from __future__ import annotations

import json
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import strategies as st

from hooks.app import create_app
from hooks.settings import Settings
from tests.fuzz.engine import Target
from tests.property.specs import checkpoints, documents, specs

CLIENT = TestClient(create_app(Settings(adapter_image="adapter:1")))

maybe = st.one_of  # a right value, or any JSON
services = st.fixed_dictionaries(
    {"spec": maybe(st.fixed_dictionaries({"ports": st.lists(st.fixed_dictionaries({"port": documents}))}), documents)},
    optional={"status": documents},
)
deployments = st.fixed_dictionaries(
    {"metadata": maybe(st.just({"generation": 1}), documents)},
    optional={"spec": documents, "status": documents},
)


def parent(spec: Any, status: Any, annotations: Any, labels: Any) -> dict[str, Any]:
    names = {"name": "n", "namespace": "ns", "uid": "u", "annotations": annotations, "labels": labels}
    return {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": "SampleSource",
        "metadata": names,
        "spec": spec,
        "status": status,
    }


bodies = st.fixed_dictionaries(
    {"parent": maybe(st.builds(parent, maybe(specs, documents), documents, documents, documents), documents)},
    optional={
        "children": maybe(
            st.fixed_dictionaries({"Deployment.apps/v1": st.dictionaries(st.just("ns/d"), deployments)}), documents
        ),
        "related": maybe(st.fixed_dictionaries({"Service.v1": st.dictionaries(st.just("ns/a"), services)}), documents),
        "controller": documents,
    },
)
queries = st.one_of(
    st.sampled_from(
        ["", "types=a.b", "types=a,b&typeField=t", "image=%00", "sinkKinds=v1/A", "x=1", "copiedLabels=a,b/c"]
    ),
    st.builds("adapter={}&copiedLabels=team".format, documents.map(json.dumps)),
    st.builds("polls=true&checkpoint={}".format, (documents | checkpoints).map(json.dumps)),
)


def check(data: bytes) -> None:
    """The first line is the query, the rest is the body."""
    line, _, body = data.partition(b"\n")
    query = line.decode("latin-1")
    for path in ("/sync", "/customize"):
        response = CLIENT.post(
            path, params=[tuple(each.partition("=")[::2]) for each in query.split("&") if each], content=body
        )
        assert response.status_code < 500, f"{path}: {response.status_code}"
        answer = response.json()
        assert response.status_code == 200 or list(answer) == ["error"]
        json.dumps(answer, allow_nan=False)


TARGET = Target(
    "hook",
    check,
    st.builds(lambda query, body: f"{query}\n{json.dumps(body)}".encode(), queries, bodies),
    (b'"ref"', b'"uri"', b'"status"', b'"conditions"', b"null", b"1e999", b"NaN", b"types=", b"&", b"%zz"),
)
