"""Metacontroller's part of a sync, in process: the request it sends to the hook, and the objects it writes.

Source: Metacontroller 4.17, ``pkg/controller/composite`` and ``pkg/dynamic/apply``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hooks.controller import KindOptions, customize, sync
from hooks.observability import Observability
from hooks.protocol import CustomizeRequest, SyncRequest
from hooks.settings import Settings
from tests.cluster.api import Api, Object

HOOK = Settings(adapter_image="registry.local/adapter:1")
LAST_APPLIED = "metacontroller.k8s.io/last-applied-configuration"
MERGE_KEYS = ("containerPort", "port", "mountPath", "name", "uid", "ip", "path")
Json = Any


def call_hook(api: Api, parent: Object, children: list[Object], now: datetime, *, listens: bool = False) -> Object:
    """The hook's sync response for ``parent``. Related objects are read from the API server, as `customize` asks."""
    related: dict[str, dict[str, Object]] = {}
    for rule in customize(CustomizeRequest.model_validate({"parent": parent}), HOOK)["relatedResources"]:
        for name in rule["names"]:
            found = api.find(rule["apiVersion"], rule["resource"], name, rule["namespace"])
            if found:
                related.setdefault(f"{found['kind']}.{rule['apiVersion']}", {})[f"{rule['namespace']}/{name}"] = found
    observed: dict[str, dict[str, Object]] = {"Deployment.apps/v1": {}, **({"Service.v1": {}} if listens else {})}
    for child in children:
        observed[f"{child['kind']}.{child['apiVersion']}"][
            f"{child['metadata']['namespace']}/{child['metadata']['name']}"
        ] = child
    body = {"parent": parent, "related": related, "children": observed}
    request, options = SyncRequest.model_validate(body), KindOptions(types=("dev.knative.sample",))
    return dict(sync(request, HOOK, now=now, config=lambda kind: Observability(), options=options))


def adopted(parent: Object, child: Object) -> Object:
    """The child with the selector label and the owner reference that Metacontroller adds."""
    metadata, uid = child["metadata"], parent["metadata"]["uid"]
    owner = {"apiVersion": parent["apiVersion"], "kind": parent["kind"], "name": parent["metadata"]["name"], "uid": uid}
    added = {
        "labels": {**metadata["labels"], "controller-uid": uid},
        "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
    }
    return {**child, "metadata": {**metadata, **added}}


def with_last_applied(written: Object, wanted: Object) -> Object:
    annotations = written["metadata"].get("annotations") or {}
    applied = {**annotations, LAST_APPLIED: json.dumps(wanted, sort_keys=True)}
    return {**written, "metadata": {**written["metadata"], "annotations": applied}}


def dynamic_applied(observed: Object, wanted: Object) -> Object:
    """The object that dynamic apply would PUT. If it equals ``observed``, Metacontroller sends nothing."""
    last_applied = json.loads(observed["metadata"]["annotations"][LAST_APPLIED])
    return with_last_applied(_merge(observed, last_applied, wanted), wanted)


def _merge(observed: Json, last: Json, wanted: Json) -> Json:
    if isinstance(observed, dict):
        return _merge_objects(observed, last or {}, wanted or {})
    if isinstance(observed, list):
        return _merge_lists(observed, last or [], wanted or [])
    return wanted


def _merge_objects(observed: Json, last: Json, wanted: Json) -> Json:
    """Remove keys that were wanted before and no longer are; keep keys that others wrote."""
    kept = {key: value for key, value in observed.items() if key in wanted or key not in last}
    return kept | {key: _merge(observed.get(key), last.get(key), value) for key, value in wanted.items()}


def _merge_lists(observed: list[Json], last: list[Json], wanted: list[Json]) -> list[Json]:
    """Merge by the first merge key that all items have; without one, the wanted list replaces the observed."""
    items = [*observed, *last, *wanted]
    if not all(isinstance(item, dict) for item in items):
        return wanted
    key = next((merge_key for merge_key in MERGE_KEYS if all(merge_key in item for item in items)), None)
    if key is None or not items:
        return wanted
    result = _merge_objects(*({str(item[key]): item for item in listed} for listed in (observed, last, wanted)))
    order = [str(item[key]) for item in observed if str(item[key]) in result]
    return [result[name] for name in [*order, *(name for name in result if name not in order)]]
