"""The port that the hook calls for all pools of a run."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2

from adapter.serving.limits import Limits
from adapter.serving.messages import Request, Response
from adapter.serving.server import Server, listen
from sources_cli.local.objects import LocalPorts, local_url
from sources_cli.local.pools.pool import LocalPool

CALL_S = 10.0
_BODY_SIZE = 8 * 1024 * 1024  # the limit of a pool
_LIMITS = Limits(head_s=10, body_s=10, keep_alive_s=60, body_size=_BODY_SIZE, total_size=3 * _BODY_SIZE, connections=64)


class PoolDoor:
    """Serves ``/NAME/run`` and ``/NAME/keep`` for each pool.

    It passes each request on to the process of the pool, with the ports of this machine in place of the addresses of
    sinks in a cluster. ``find``: the pool with a name.
    """

    def __init__(self, find: Callable[[str], LocalPool | None], ports: Callable[[], LocalPorts]) -> None:
        self._find, self._ports = find, ports
        self._client = httpx2.AsyncClient(timeout=CALL_S, trust_env=False)
        self._server: Server | None = None

    async def start(self) -> str:
        """The URL of a pool, with ``{name}`` in place of its name."""
        self._server = await listen(self._handle, 0, _LIMITS, host="127.0.0.1")
        return f"http://127.0.0.1:{self._server.port}/{{name}}"

    async def close(self) -> None:
        if self._server:
            await self._server.close()
        await self._client.aclose()

    async def _handle(self, request: Request) -> Response:
        name, _, path = request.path.strip("/").partition("/")
        pool = self._find(name)
        port = pool.deployment.port if pool and pool.deployment else None
        if port is None:
            return Response(503)
        body = json.loads(request.body)
        for environ in filter(None, body.get("sources", {}).values()):
            for variable in ("K_SINK", "DEAD_LETTER_SINK"):
                if variable in environ:
                    environ[variable] = local_url(environ[variable], self._ports())
        try:
            answer = await self._client.post(f"http://127.0.0.1:{port}/{path}", json=body)
        except httpx2.TransportError:  # the process starts or ends
            return Response(503)
        return Response(answer.status_code, answer.content, {"Content-Type": "application/json"})
