"""The least that a hook can do: one fixed Deployment, and a Ready that repeats whether it is available.

It does not resolve the sink, checks nothing and keeps no transition times. The framework, the server and the parser of
HTTP are those of the hook.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)
SINCE = "2026-01-01T00:00:00Z"  # the CRD requires a time
LABELS = {"app": "trivial"}
SPEC: dict[str, Any] = {
    "replicas": 1,
    "selector": {"matchLabels": LABELS},
    "template": {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "adapter", "image": "registry.local/adapter:1"}]},
    },
}


@app.post("/customize")
async def customize() -> Response:
    return _answer({"relatedResources": []})


@app.post("/sync")
async def sync(request: Request) -> Response:
    body = json.loads(await request.body())
    parent = body["parent"]["metadata"]
    available = any(child.get("status", {}).get("availableReplicas") for child in _deployments(body))
    metadata = {"name": parent["name"], "namespace": parent["namespace"]}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": SPEC}
    ready = {"type": "Ready", "status": "True" if available else "Unknown", "lastTransitionTime": SINCE}
    return _answer({"status": {"conditions": [ready]}, "children": [deployment]})


def _deployments(body: Any) -> list[Any]:
    return list(body["children"]["Deployment.apps/v1"].values())


def _answer(content: Any) -> Response:
    return Response(json.dumps(content), media_type="application/json")
