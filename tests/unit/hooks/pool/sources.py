"""Sources of a kind in a pool, and the hook's answers about them, for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hooks.controller import KindOptions, question, sync
from hooks.observability import Observability
from hooks.pool.question import Question
from hooks.pool.verdict import Told
from hooks.protocol import SyncRequest
from hooks.settings import Settings
from tests.unit.hooks.hook import NOW, URL_SINK, observed, parent

SETTINGS = Settings(adapter_image="adapter:1", namespace="hooks")
OPTIONS = KindOptions(types=("dev.knative.sample",), pool="many")
SPEC = {"interval": "10s", "sink": URL_SINK}
YES, NO = Told(), Told("its sink refuses events")


def silent(seconds: float) -> Told:
    return Told(silent_for=timedelta(seconds=seconds))


def request(
    spec: Any = None, *, related: Any = None, children: Any = None, generation: int = 1, **source: Any
) -> SyncRequest:
    """``related``: by default with the SourcePool."""
    whole = parent(SPEC if spec is None else spec, **source)
    related = pool_object("True") if related is None else related
    whole["metadata"]["generation"] = generation
    return SyncRequest.model_validate({"parent": whole, "children": children or {}, "related": related})


def asked(body: SyncRequest, options: KindOptions = OPTIONS) -> Question | None:
    return question(body, SETTINGS, observability=Observability(), options=options)


def answer(body: SyncRequest, told: Told | None, options: KindOptions = OPTIONS) -> dict[str, Any]:
    response = sync(body, SETTINGS, now=NOW, observability=Observability(), options=options, told=told)
    return dict(response)


def written(response: dict[str, Any], generation: int = 1) -> dict[str, Any]:
    """The status as Metacontroller writes it."""
    return {**response["status"], "observedGeneration": generation}


def running_deployment(**source: Any) -> dict[str, Any]:
    """The Deployment that a source has without a pool, ready."""
    [deployment] = answer(request(**source), None, KindOptions())["children"]
    return observed(deployment)


def pool_object(ready: str) -> dict[str, Any]:
    """``related`` with the SourcePool."""
    conditions = [{"type": "Ready", "status": ready}]
    return {"SourcePool.samples.knative.dev/v1alpha1": {"hooks/many": {"status": {"conditions": conditions}}}}
