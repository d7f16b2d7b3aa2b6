"""Serves the application on PORT: uvicorn runs the process, and the connections are those of the adapter's server.

They limit connections, bytes and times, which uvicorn's own connections do not. The application gets whole requests
only. A refused request gets the JSON object ``{"error": "…"}``.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import unquote

import uvicorn
from starlette.types import ASGIApp, Message, Scope

from adapter.contract.formats import json_cost
from adapter.contract.timeouts import TIMEOUTS
from adapter.serving import health
from adapter.serving.connection import Connection
from adapter.serving.limits import Connections, Limits
from adapter.serving.messages import Refusal, Request, Response
from adapter.serving.server import listen_on
from hooks.serving.credentials import Credentials
from hooks.serving.handshake import Handshake
from hooks.serving.refusals import Refusals, refused
from hooks.settings import Settings

KEEP_ALIVE_S = 120  # Go clients close a connection after 90 s without a request; the hook must not do it first
STOP_S = 5  # for the last responses after SIGTERM
POOL_SYNC = "/pool/sync"  # its body is the list of all sources of a pool
COST_FACTOR = 14  # a body may become objects of so many times its largest size

log = logging.getLogger("hooks.server")


def limits(settings: Settings) -> Limits:
    body_size = settings.max_body_bytes
    return Limits(
        head_s=10,
        body_s=10,
        keep_alive_s=KEEP_ALIVE_S,
        body_size=body_size,
        body_sizes={POOL_SYNC: settings.max_pool_body_bytes},
        total_size=max(4 * body_size, 2 * settings.max_pool_body_bytes),
        connections=64 if settings.tls_dir else 128,  # with TLS, each takes 0.4 MiB
        new_age_s=lambda: TIMEOUTS.age_limit_s(random.random()),  # Metacontroller then finds all replicas
    )


def make_server(
    app: ASGIApp, limits: Limits, refusals: Refusals, credentials: Credentials, *, log_level: str
) -> uvicorn.Server:
    """The server of PORT. At the log level debug, it logs each request."""
    connections = Connections(Application(app, limits, refusals), limits, refusals.unread)
    config = uvicorn.Config(
        app,
        http=protocol(connections, refusals, credentials),  # type: ignore[arg-type]  # a function instead of a class
        log_config=None,  # the handler of the root logger
        log_level=log_level if log_level == "debug" else "warning",
        proxy_headers=False,  # the address of the client is not used
        timeout_graceful_shutdown=STOP_S,
        lifespan="off",
    )
    config.load()
    server = uvicorn.Server(config)
    server.server_state.connections = connections.opened  # type: ignore[assignment]  # it stops them and waits
    return server


async def serve(
    server: uvicorn.Server, listening: socket.socket, pages: Mapping[str, health.Page], health_port: socket.socket
) -> None:
    """Serve until a signal. The ``pages`` of ``health_port`` answer until the last response on ``listening``."""
    beside = await listen_on(health.serve_pages(pages), health_port, health.limits(TIMEOUTS.request_head_s))
    try:
        await server.serve(sockets=[listening])
    finally:
        await beside.close()


def protocol(
    connections: Connections, refusals: Refusals, credentials: Credentials
) -> Callable[..., asyncio.BaseProtocol]:
    """Makes the protocol of each new connection."""
    tls = credentials.tls

    def connect(has_certificate: bool) -> Connection:
        return TlsConnection(connections, partial(credentials.check, has_certificate=has_certificate))

    def make(**_: object) -> asyncio.BaseProtocol:
        if tls:
            return Handshake(connections, tls.value, connect, refusals.handshake)
        return Connection(connections, plain_check)

    plain_check = partial(credentials.check, has_certificate=False) if credentials.are_demanded else None
    return make


class TlsConnection(Connection):
    def eof_received(self) -> bool:
        """With TLS, asyncio cannot keep the connection open until the response."""
        super().eof_received()
        return False


class Application:
    """Handles a request with an ASGI application."""

    def __init__(self, app: ASGIApp, limits: Limits, refusals: Refusals) -> None:
        self._app, self._limits, self._refusals = app, limits, refusals

    async def __call__(self, request: Request) -> Response:
        started_s = time.perf_counter()
        response = await self._respond(request)
        self._refusals.metrics.count(request.path, response.status, time.perf_counter() - started_s)
        fields = {"method": request.method, "path": request.path, "status": response.status}
        log.debug("request", extra={"fields": fields})
        return response

    async def _respond(self, request: Request) -> Response:
        # Most bodies are small. Only a large one can cost too much, so only a large one is looked at.
        most = self._limits.body_sizes.get(request.path, self._limits.body_size)
        if len(request.body) > most // 8 and json_cost(request.body) > COST_FACTOR * most:
            return self._refusals.response_to(Refusal(413, "the body has too many JSON values for its memory"))
        exchange = Exchange(request)
        try:
            await self._app(_scope(request), exchange.receive, exchange.send)
            return exchange.response()
        except Exception:
            log.exception("request failed")
            return refused(Refusal(500, "the request failed; see the log of the hook"))


class Exchange:
    """One request and its response, as messages of ASGI."""

    def __init__(self, request: Request) -> None:
        self._unread: Message | None = {"type": "http.request", "body": request.body, "more_body": False}
        self._status = 500
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    async def receive(self) -> Message:
        message, self._unread = self._unread, None
        return message or {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            self._headers.pop("content-length", None)  # the connection writes it
        else:
            self._body.append(message.get("body", b""))

    def response(self) -> Response:
        return Response(self._status, b"".join(self._body), self._headers)


def _scope(request: Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1"),
        "root_path": "",
        "query_string": request.query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()],
        "client": None,
        "server": None,
    }
