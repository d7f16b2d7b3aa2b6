"""The hook's answer is a fixed point: written to a real API server and read back, it leads to the same answer.

``LONG=1`` tests more sources.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources_cli.admission.resource import object_violations
from sources_cli.kind import Kind, kind_named
from sources_cli.schema.crd import crd
from tests.cluster import fake_metacontroller
from tests.cluster.api import Api, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_metacontroller import adopted, dynamic_applied, with_last_applied
from tests.property import shipped
from tests.property.shipped import secrets
from tests.property.specs import documents, specs, valid_urls

SAMPLE, POLL, WEBHOOK = (kind_named(f"{prefix}Source", "adapter.sources") for prefix in ("Sample", "Poll", "Webhook"))
EVERY_FIELD = kind_named("EveryFieldSource", "tests.kinds")
KINDS = {kind.name: kind for kind in (SAMPLE, POLL, WEBHOOK, EVERY_FIELD)}
EXAMPLES = 300 if os.environ.get("LONG") else 40
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMESPACE = "ns"  # the specs of tests/property contain it
HTTP, ADMIN = {"name": "http", "port": 80, "targetPort": "web"}, {"name": "admin", "port": 8081}
SERVICES: dict[str, Object] = {
    "a": {"ports": [HTTP]},
    "several": {"ports": [ADMIN, HTTP]},
    "headless": {"clusterIP": "None", "ports": [HTTP]},
    "headless-number": {"clusterIP": "None", "ports": [ADMIN]},
    "elsewhere": {"type": "ExternalName", "externalName": "h.example"},
}
numbers = itertools.count()

references = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Service"), "name": st.sampled_from([*SERVICES, "gone"])},
    optional={"port": st.sampled_from([80, 8081, "http", "8081", "x"])},
)
sinks = st.fixed_dictionaries({"ref": references}, optional={"uri": st.sampled_from(["/p", "q?a=b", ""])})
every_field = st.fixed_dictionaries(
    {"url": st.just("http://x"), "sink": sinks | st.fixed_dictionaries({"uri": valid_urls})},
    optional={
        "token": secrets,
        "headers": st.dictionaries(st.text(max_size=4), secrets, max_size=2),
        "free": st.dictionaries(st.text(max_size=6), documents, max_size=3),
        "ratio": st.floats(0, 1),
        "port": st.integers(-5, 90000) | st.text(max_size=4),
    },
)
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?){0,2}", fullmatch=True)


def sources(kind: Kind, spec: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    annotations = st.fixed_dictionaries({}, optional={"samples.knative.dev/event-source": st.text(max_size=8)})
    metadata = st.fixed_dictionaries({"name": names, "namespace": st.just(NAMESPACE), "annotations": annotations})
    whole = {
        "apiVersion": st.just(kind.api_version),
        "kind": st.just(kind.name),
        "metadata": metadata,
        "spec": spec,
    }
    return st.fixed_dictionaries(whole).filter(lambda source: not object_violations(kind, source))


resolvable = st.builds(lambda spec, sink: {**spec, "sink": sink}, specs, sinks)
accepted = st.one_of(
    sources(SAMPLE, specs | resolvable),
    sources(POLL, shipped.specs(shipped.POLL, sinks)),
    sources(WEBHOOK, shipped.specs(shipped.WEBHOOK, sinks)),
    sources(EVERY_FIELD, every_field),
)


@pytest.fixture(scope="module")
def api(bare_api_server: ControlPlane) -> Api:
    for kind in KINDS.values():
        bare_api_server.api.serve(crd(kind))
    bare_api_server.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for name, spec in SERVICES.items():
        metadata = {"name": name, "namespace": NAMESPACE}
        bare_api_server.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    return bare_api_server.api


def create_source(api: Api, source: Object) -> Object:
    """Create the source under an unused name."""
    metadata = {**source["metadata"], "name": f"{source['metadata']['name']}{next(numbers)}"}
    return api.create({**source, "metadata": metadata})


def complete_rollout(api: Api, child: Object) -> Object:
    if child["kind"] != "Deployment":
        return child
    wanted = child["spec"]["replicas"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
    conditions = [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True"}]
    generation = child["metadata"]["generation"]
    status = {"observedGeneration": generation, "conditions": conditions, **counts}
    return api.replace({**child, "status": status}, "/status")


def as_json(value: Any) -> str:
    """As JSON text, in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True, indent=1)


def sync_until_stable(
    api: Api, source: Object, *, ready: bool, write: Callable[[Object], Object]
) -> list[tuple[Object, Object]]:
    """Sync a source until its status is stable; return each stored child with the child that the hook then wants."""
    parent = create_source(api, source)
    call_hook = partial(fake_metacontroller.call_hook, api, listens=KINDS[source["kind"]].listens)
    first = call_hook(parent, [], NOW)
    children = [write(adopted(parent, child)) for child in first["children"]]
    if ready:
        children = [complete_rollout(api, child) for child in children]
    status = call_hook(parent, children, NOW + HOUR)["status"]
    stored = api.replace({**parent, "status": {**status, "observedGeneration": 1}}, "/status")
    last = call_hook(stored, children, NOW + 2 * HOUR)
    assert as_json(last["children"]) == as_json(first["children"])
    assert as_json({**last["status"], "observedGeneration": 1}) == as_json(stored["status"])
    return [(child, adopted(stored, wanted)) for child, wanted in zip(children, last["children"], strict=True)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(source=accepted, ready=st.booleans())
def test_second_server_side_apply_changes_nothing(api: Api, source: Object, ready: bool) -> None:
    def write(child: Object) -> Object:
        return api.apply(child, manager="metacontroller")

    for observed, wanted in sync_until_stable(api, source, ready=ready, write=write):
        assert write(wanted)["metadata"]["resourceVersion"] == observed["metadata"]["resourceVersion"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(source=accepted, ready=st.booleans())
def test_second_dynamic_apply_changes_nothing(api: Api, source: Object, ready: bool) -> None:
    def write(child: Object) -> Object:
        return api.create(with_last_applied(child, child))

    for observed, wanted in sync_until_stable(api, source, ready=ready, write=write):
        assert as_json(dynamic_applied(observed, wanted)) == as_json(observed)


def pod(deployment: Object) -> Object:
    return dict(deployment["spec"]["template"]["spec"])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda pod_spec: pod_spec["containers"][0]["env"].append({"name": "X", "value": ""}), id="an-empty-value"
        ),
        pytest.param(lambda pod_spec: pod_spec["containers"][0]["resources"]["limits"].update(cpu="1000m"), id="1000m"),
        pytest.param(lambda pod_spec: pod_spec["containers"][0].update(lifecycle=None), id="a-null"),
        pytest.param(
            lambda pod_spec: pod_spec["containers"][0]["ports"].append({"containerPort": 8080, "protocol": "UDP"}),
            id="one-port-twice",
        ),
    ],
)
def test_comparison_detects_values_that_the_api_server_changes(api: Api, change: Callable[[Object], object]) -> None:
    metadata = {"name": "changed", "namespace": NAMESPACE}
    spec = {"sink": {"uri": "http://h"}}
    document = {"apiVersion": SAMPLE.api_version, "kind": SAMPLE.name, "metadata": metadata, "spec": spec}
    [desired] = fake_metacontroller.call_hook(api, create_source(api, document), [], NOW)["children"]
    child = deepcopy(desired)  # responses of the hook share objects
    change(pod(child))
    observed = api.create(with_last_applied(child, child))
    assert as_json(dynamic_applied(observed, child)) != as_json(observed)
