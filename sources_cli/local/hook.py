"""The real hook as a child process, called over HTTP in the same way as Metacontroller calls it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlencode

import httpx2

from adapter.contract.crash import crash_cause
from adapter.contract.formats import Json
from sources_cli.admission.documents import Documents, key
from sources_cli.arguments import LOCAL_IMAGE
from sources_cli.kind import ClusterOptions, Kind
from sources_cli.local.process import OnLine, Process, exit_text, free_port, port_is_free
from sources_cli.problem import Problem
from sources_cli.screen.plain import shorten

Children = Mapping[str, Mapping[str, Json]]  # "Kind.apiVersion" -> "namespace/name" -> object
START_S = 60.0  # a loaded machine needs 20 s
CALL_S = 30.0


class HookRejected(Problem):
    """The hook answered 4xx. Metacontroller would keep the children and record a SyncError event."""


class Hook:
    """``sink_kinds``: which kinds a ``sink.ref`` may name, as ``<apiVersion>/<Kind>``; a later file can add one.

    ``cluster``: what the options say of all kinds.
    """

    def __init__(
        self, process: Process, client: httpx2.AsyncClient, sink_kinds: Sequence[str], cluster: ClusterOptions
    ) -> None:
        self.process = process
        self.sink_kinds = sink_kinds
        self._client = client
        self._cluster = cluster

    @classmethod
    async def start(
        cls,
        port: int | None,
        sink_kinds: Sequence[str],
        on_line: OnLine,
        *,
        image: str = LOCAL_IMAGE,
        cluster: ClusterOptions,
        pools: Mapping[str, str] = MappingProxyType({}),
    ) -> Hook:
        """``pools``: the settings of the hook about SourcePools."""
        if port and not port_is_free(port):
            raise Problem(f"port {port} is in use; choose another one with --port, or omit --port")
        port, health_port = port or free_port(), free_port()
        environ = {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "HEALTH_PORT": str(health_port),
            "ADAPTER_IMAGE": image,
            **pools,
        }
        process = await Process.start(["hooks"], environ, on_line, on_line)
        # trust_env=False: calls to this machine must not go through the user's HTTP proxy
        client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=CALL_S, trust_env=False)
        hook = cls(process, client, sink_kinds, cluster)
        try:
            await hook._wait_until_healthy(f"http://127.0.0.1:{health_port}/healthz")
        except BaseException:
            await hook.stop()
            raise
        return hook

    async def customize(self, parent: Json, documents: Documents) -> dict[str, dict[str, Json]]:
        """The related objects that the hook selects, by ``Kind.apiVersion`` and ``namespace/name``."""
        response = json.loads(await self._post("/customize", {}, {"controller": {}, "parent": parent}))
        related: dict[str, dict[str, Json]] = {}
        for rule in response.get("relatedResources", []):
            for found in documents.of_resource(rule["apiVersion"], rule["resource"]):
                if _matches(rule, found["metadata"]):
                    related.setdefault(f"{found['kind']}.{found['apiVersion']}", {})[key(found)] = found
        return related

    async def sync(self, parent: Json, kind: Kind, children: Children, related: Json, *, pool: str = "") -> Json:
        """``pool``: the name of the SourcePool of the kind, or empty."""
        return json.loads(await self.sync_bytes(parent, kind, children, related, pool=pool))

    async def sync_pool(self, parent: Json, children: Children, related: Json) -> Json:
        """``related``: the sources of all kinds of this SourcePool."""
        request = {"controller": {}, "parent": parent, "children": children, "related": related, "finalizing": False}
        return json.loads(await self._post("/pool/sync", {}, request))

    async def sync_bytes(self, parent: Json, kind: Kind, children: Children, related: Json, *, pool: str = "") -> bytes:
        request = {
            "controller": {},
            "parent": parent,
            "children": {"Deployment.apps/v1": {}, **({"Service.v1": {}} if kind.listens else {}), **children},
            "related": related,
            "finalizing": False,
        }
        return await self._post("/sync", kind.query(self._cluster) | ({"pool": pool} if pool else {}), request)

    async def stop(self) -> None:
        await self._client.aclose()
        await self.process.stop(5)

    async def _wait_until_healthy(self, url: str) -> None:
        deadline = time.monotonic() + START_S
        while self.process.running and time.monotonic() < deadline:
            try:
                if (await self._client.get(url)).is_success:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
        if self.process.running:
            raise Problem(f"the hook did not become healthy within {START_S:.0f}s")
        code = exit_text(await self.process.wait())
        raise Problem(f"the hook exited with code {code}: {crash_cause(self.process.last_error) or 'no message'}")

    async def _post(self, path: str, query: Mapping[str, str], body: Json) -> bytes:
        query = {**query, "sinkKinds": ",".join(self.sink_kinds)}
        try:
            response = await self._client.post(f"{path}?{urlencode(query)}", json=body)
        except httpx2.TransportError as error:
            last = crash_cause(self.process.last_error) or "none"
            raise Problem(f"the hook cannot be reached: {error}; its last log line: {last}") from None
        if response.status_code != 200:
            error_class = HookRejected if response.is_client_error else Problem
            raise error_class(f"the hook answered {response.status_code}: {_error_text(response)}")
        return response.content


def _matches(rule: Json, metadata: Json) -> bool:
    names = rule.get("names") or [metadata["name"]]
    namespace = rule.get("namespace") or metadata["namespace"]
    return metadata["name"] in names and metadata["namespace"] == namespace


def _error_text(response: httpx2.Response) -> str:
    try:
        text = str(response.json()["error"])
    except (ValueError, LookupError, TypeError):  # not from the hook: another program has the port
        text = response.text
    return shorten(" ".join(text.split()), 300)
