"""The real hook as a child process, asked over HTTP as Metacontroller asks it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx2

from sources_cli.admission.documents import Documents, key
from sources_cli.kind import Kind
from sources_cli.local.process import OnLine, Process, free_port, port_is_free
from sources_cli.problem import Problem

Json = Any
Children = Mapping[str, Mapping[str, Json]]  # "Kind.apiVersion" -> "namespace/name" -> object
START_S = 20.0
LOCAL_IMAGE = "sample-source:local"


class Refusal(Problem):
    """The hook's 4xx: Metacontroller keeps the children and records a SyncError."""


class Hook:
    def __init__(self, process: Process, client: httpx2.AsyncClient) -> None:
        self.process = process
        self._client = client

    @classmethod
    async def start(cls, port: int, sink_kinds: Sequence[str], on_line: OnLine, *, image: str = LOCAL_IMAGE) -> Hook:
        if port and not port_is_free(port):
            raise Problem(f"port {port} is in use; stop what uses it or choose another with --port")
        port = port or free_port()
        environ = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "ADAPTER_IMAGE": image,
            "SINK_KINDS": ",".join(sink_kinds),
        }
        process = await Process.start(["hooks"], environ, on_line, on_line)
        # trust_env=False: a proxy for the outside world must not see calls to this machine
        client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)
        hook = cls(process, client)
        try:
            await hook._answers()
        except BaseException:
            await hook.stop()
            raise
        return hook

    async def customize(self, parent: Json, documents: Documents) -> dict[str, dict[str, Json]]:
        """The related objects this source is to be decided with, by ``Kind.apiVersion`` and ``namespace/name``."""
        answer = json.loads(await self._post("/customize", {"controller": {}, "parent": parent}))
        related: dict[str, dict[str, Json]] = {}
        for rule in answer.get("relatedResources", []):
            for it in documents.of_resource(rule["apiVersion"], rule["resource"]):
                if _matches(rule, it["metadata"]):
                    related.setdefault(f"{it['kind']}.{it['apiVersion']}", {})[key(it)] = it
        return related

    async def sync(self, parent: Json, kind: Kind, children: Children, related: Json) -> Json:
        return json.loads(await self.sync_bytes(parent, kind, children, related))

    async def sync_bytes(self, parent: Json, kind: Kind, children: Children, related: Json) -> bytes:
        request = {
            "controller": {},
            "parent": parent,
            "children": {"Deployment.apps/v1": {}, **({"Service.v1": {}} if kind.listens else {}), **children},
            "related": related,
            "finalizing": False,
        }
        return await self._post(f"/sync?{urlencode(kind.query)}", request)

    async def stop(self) -> None:
        await self._client.aclose()
        await self.process.stop(5)

    async def _answers(self) -> None:
        deadline = time.monotonic() + START_S
        while self.process.running and time.monotonic() < deadline:
            try:
                if (await self._client.get("/healthz")).is_success:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
        if self.process.running:
            raise Problem(f"the hook does not answer {START_S:.0f}s after its start")
        code = await self.process.wait()
        raise Problem(f"the hook exited with code {code}: {self.process.last_error or 'no message'}")

    async def _post(self, path: str, body: Json) -> bytes:
        try:
            response = await self._client.post(path, json=body)
        except httpx2.TransportError as error:
            raise Problem(f"the hook is gone: {self.process.last_error or error}") from None
        if response.status_code != 200:
            refused = Refusal if response.is_client_error else Problem
            raise refused(f"the hook refuses: {_error_text(response)} (HTTP {response.status_code})")
        return response.content


def _matches(rule: Json, metadata: Json) -> bool:
    names = rule.get("names") or [metadata["name"]]
    namespace = rule.get("namespace") or metadata["namespace"]
    return metadata["name"] in names and metadata["namespace"] == namespace


def _error_text(response: httpx2.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return " ".join(response.text.split())
    error = body.get("error", body.get("message", body)) if isinstance(body, dict) else body
    return " ".join(str(error).split())
