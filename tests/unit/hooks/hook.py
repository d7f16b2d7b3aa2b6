"""Requests to the hook and checks of its responses, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hooks.controller import KindOptions, sync
from hooks.diagnosis.observed import find
from hooks.observability import Observability
from hooks.protocol import SyncRequest
from hooks.settings import Settings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
BROKER = "eventing.knative.dev/v1/Broker"
SETTINGS = Settings(adapter_image="adapter:1", sink_kinds=("v1/Service", BROKER))
URL_SINK = {"uri": "http://h"}
SERVICE_SINK = {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}}
BROKER_SINK = {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "b"}}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def parent(
    spec: Any,
    *,
    status: Any = None,
    name: str = "hello",
    annotations: Any = None,
    kind: str = "SampleSource",
    namespace: str = "ns",
    labels: Any = None,
) -> dict[str, Any]:
    return {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": UID,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": annotations,
            "labels": labels,
        },
        "spec": spec,
        "status": status,
    }


def service(ports: Any = ((None, 80),), **spec: Any) -> dict[str, Any]:
    listed = [{"port": port, **({"name": name} if name else {})} for name, port in ports]
    return {"Service.v1": {"ns/display": {"spec": {"ports": listed, **spec}}}}


def answer(
    spec: Any,
    *,
    related: Any = None,
    children: Any = None,
    now: datetime = NOW,
    settings: Settings = SETTINGS,
    listens: bool = False,
    types: Any = (),
    image: str | None = None,
    options: KindOptions | None = None,
    **source: Any,
) -> dict[str, Any]:
    """The response to a sync; ``source``: more arguments of :func:`parent`."""
    body = {
        "parent": parent(spec, **source),
        "children": {**({"Service.v1": {}} if listens else {}), **(children or {})},
        "related": related or {},
    }
    request = SyncRequest.model_validate(body)
    options = options or KindOptions(types=types, image=image)
    return dict(sync(request, settings, now=now, observability=Observability(), options=options))


def condition(response: dict[str, Any], type: str) -> tuple[Any, Any]:
    """Status and reason of a condition."""
    found = find(response["status"], type)
    assert found
    return found["status"], found.get("reason")


def message(response: dict[str, Any], type: str = "Ready") -> str:
    found = find(response["status"], type)
    assert found
    return str(found["message"])


def pod_of(response: dict[str, Any]) -> Any:
    """The pod spec in the Deployment of a response."""
    return response["children"][0]["spec"]["template"]["spec"]


def env_of(response: dict[str, Any]) -> dict[str, Any]:
    """Variable -> value in the Deployment of a response."""
    return {variable["name"]: variable.get("value") for variable in pod_of(response)["containers"][0]["env"]}


def observed(deployment: dict[str, Any], *, current: bool = True, **status: Any) -> dict[str, Any]:
    """The Deployment as a cluster reports it, by default ready; ``status``: other fields of its status."""
    conditions = [
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    ]
    full = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    metadata = {**deployment["metadata"], "generation": 1 if current else 2}
    whole = {**deployment, "metadata": metadata, "status": full | {"conditions": conditions} | status}
    return {"Deployment.apps/v1": {f"ns/{metadata['name']}": whole}}
