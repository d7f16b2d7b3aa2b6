"""The HTTP API on PORT: POST /sync and /customize for Metacontroller, GET /openapi.json.

All input and output of the hook is here and in ``configmaps``. An invalid request gets a 4xx with the JSON object
``{"error": "…"}``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_type_hints

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from adapter import __version__
from adapter.contract.formats import Json, quoted
from adapter.serving.logs import LogThrottle
from hooks.checkpoint import read_checkpoint
from hooks.children.plan import Unprocessable
from hooks.configmaps import MountedConfig
from hooks.controller import KindOptions, customize, question, sync
from hooks.pod_settings.merge import read_label_names
from hooks.pod_settings.read import read as read_pod_settings
from hooks.pod_settings.settings import InvalidSettings
from hooks.pool import routes as pool_routes
from hooks.pool.client import Pools
from hooks.pool.listing import NotAList
from hooks.pool.routes import PoolSync, make_pools
from hooks.pool.spec import read_pool_name
from hooks.protocol import (
    CustomizeRequest,
    CustomizeResponse,
    Error,
    KindQuery,
    Malformed,
    SyncRequest,
    SyncResponse,
)
from hooks.settings import Settings, parse_bool, parse_sink_kinds

log = logging.getLogger("hooks")
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
ENDPOINTS = "POST /sync, /customize, /pool/sync or /pool/customize, or GET /openapi.json"
KEPT_QUERIES, KEPT_QUERY = 64, 16 * 1024  # one for each kind, and its bytes; its options may take 20 times as many
_POST = "post a Metacontroller"
_BAD_REQUEST = {"model": Error, "description": "The body or a query parameter is invalid."}
_UNPROCESSABLE = {"model": Error, "description": "Without a valid spec and sink, a response would stop the adapter."}


class BadRequest(Exception):
    """The body or a query parameter is invalid."""


def kind_options(query: Annotated[KindQuery, Query()]) -> KindOptions:
    """The query parameters of the webhook URL of a kind."""
    return KindOptions(
        types=tuple(filter(None, query.types.split(","))),
        type_field=query.typeField,
        polls=_option("polls", query.polls, parse_bool) or False,
        image=query.image or None,
        sink_kinds=_option("sinkKinds", query.sinkKinds, parse_sink_kinds),
        diagnose_pods=_option("diagnosePods", query.diagnosePods, parse_bool),
        adapter=_defaults(query.adapter),
        copied_labels=_option("copiedLabels", query.copiedLabels, read_label_names) or (),
        checkpoint=_json_option("checkpoint", query.checkpoint, read_checkpoint),
        pool=_option("pool", query.pool, read_pool_name) or "",
    )


def _defaults(text: str) -> Json:
    """The parameter ``adapter``: None if it is empty. Alone, it must be valid: each source would repeat a mistake."""
    _json_option("adapter", text, read_pod_settings)
    return from_json(text) if text else None


def _json_option(name: str, text: str, read: Callable[[Json, str], T]) -> T | None:
    """``read``: gets the value and the name of the parameter; raises ``InvalidSettings``."""
    try:
        return read(from_json(text, allow_inf_nan=False), name) if text else None
    except InvalidSettings as error:
        raise BadRequest(f"query parameter {error}") from None
    except ValueError as error:
        raise BadRequest(f"query parameter {name} is not JSON: {error}; write an object") from None


def _option(name: str, text: str, read: Callable[[str], T]) -> T | None:
    try:
        return read(text) if text else None
    except ValueError as error:
        raise BadRequest(f"query parameter {name} is {quoted(text)}: {error}") from None


def options_from(query_string: bytes) -> KindOptions:
    """The options of a kind; those of short query strings are kept, because each sync of a kind has the same one."""
    return _kept_options(query_string) if len(query_string) <= KEPT_QUERY else read_options(query_string)


@lru_cache(maxsize=KEPT_QUERIES)
def _kept_options(query_string: bytes) -> KindOptions:
    return read_options(query_string)


def read_options(query_string: bytes) -> KindOptions:
    query = QueryParams(query_string)
    known = KindQuery.model_fields
    for name, times in Counter(name for name, _ in query.multi_items()).items():
        if name not in known:
            raise BadRequest(f"unknown query parameter {quoted(name)}; known parameters: {', '.join(known)}")
        if times > 1:
            raise BadRequest(f"query parameter {name} is given {times} times; write it once")
    return kind_options(KindQuery.model_validate(dict(query)))


Options = Annotated[KindOptions, Depends(kind_options)]


class HookApi(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Only the handlers of errors. The server limits bodies and handles other errors; nothing else is needed."""
        return ExceptionMiddleware(self.router, handlers=self.exception_handlers)


class HookRoute(APIRoute):
    """Calls ``endpoint(body, options)``. FastAPI describes the route in OpenAPI, but does not parse its requests.

    The response is written without a second validation. Both are faster than in FastAPI (tests/bench/bench_hook.py),
    and an error is one sentence.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **details: Any) -> None:
        super().__init__(path, endpoint, **details)
        model = get_type_hints(endpoint)["body"]

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            body = _parse(model, await _body(Request(scope, receive)))
            await _json(200, await endpoint(body, options_from(scope["query_string"])))(scope, receive, send)

        self.app = respond


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:  # not an error of the hook; nobody reads this answer
        raise BadRequest("the connection was closed before the end of the body") from None


def new_throttle() -> LogThrottle:
    return LogThrottle(log, lambda: datetime.now(UTC))


def create_app(
    settings: Settings,
    throttle: LogThrottle | None = None,
    mounted: MountedConfig | None = None,
    pools: Pools | None = None,
) -> FastAPI:
    """``throttle`` logs the rejected syncs of each source; close it at the end. Default: a new one.

    ``mounted``: the ConfigMaps; default: those of ``settings.config_dir``. ``pools``: the client of pools.
    """
    app = HookApi(
        title="Sources hook",
        version=__version__,
        docs_url=None,  # these two pages would load their scripts from a public CDN
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # looking for it takes 4 % of a sync
    )
    config, rejections = mounted or MountedConfig(settings.config_dir), throttle or new_throttle()
    pools = pools or make_pools(settings, rejections)
    app.router.route_class = HookRoute

    @app.post("/sync", responses={400: _BAD_REQUEST, 422: _UNPROCESSABLE})
    async def post_sync(body: SyncRequest, options: Options) -> SyncResponse:
        """The children of a source and its status."""
        now = datetime.now(UTC).replace(microsecond=0)
        observability = config.for_kind(body.parent.kind)
        source = {
            "kind": body.parent.kind,
            "namespace": body.parent.metadata.namespace,
            "name": body.parent.metadata.name,
        }
        cause = "{kind} {namespace}/{name}".format(**source)
        asked = question(body, settings, observability=observability, options=options)
        told = await pools.ask(options.pool, body.parent.metadata.uid, asked) if asked else None
        try:
            response = sync(body, settings, now=now, observability=observability, options=options, told=told)
        except Unprocessable as error:  # Metacontroller posts it again after some seconds
            rejections.log(logging.WARNING, "sync rejected", {**source, "reason": str(error)}, cause=cause)
            raise
        rejections.ended(cause)
        return response

    # "4XX" instead of 400: otherwise FastAPI adds its own 422 to the description. This route never sends a 422.
    @app.post("/customize", responses={"4XX": _BAD_REQUEST})
    async def post_customize(body: CustomizeRequest, options: Options) -> CustomizeResponse:
        """Selects the objects that the hook needs to resolve the sinks of a source."""
        return customize(body, settings, options=options)

    pool_sync = PoolSync(settings, config, pools)

    async def post_pool_sync(request: Request) -> Response:
        return _json(200, await pool_sync(await _body(request)))

    async def post_pool_customize(request: Request) -> Response:
        return _json(200, pool_routes.customize(_parse(CustomizeRequest, await _body(request))))

    app.add_route(pool_routes.SYNC, post_pool_sync, methods=["POST"])
    app.add_route(pool_routes.CUSTOMIZE, post_pool_customize, methods=["POST"])

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> Response:
        allowed = (error.headers or {}).get("Allow")
        path, method = quoted(request.scope["path"]), request.method
        problem = f"{path} does not allow {method}; use {allowed}" if allowed else f"no path {path}; use {ENDPOINTS}"
        return _json(error.status_code, {"error": problem}, error.headers)

    @app.exception_handler(BadRequest)
    async def bad_request(_: Request, error: BadRequest) -> Response:
        return _json(400, {"error": str(error)})

    @app.exception_handler(NotAList)
    async def not_a_list(_: Request, error: NotAList) -> Response:
        return _json(400, {"error": f"the body is not a request of Metacontroller: {error}"})

    @app.exception_handler(Unprocessable)
    async def unprocessable(_: Request, error: Unprocessable) -> Response:
        return _json(422, {"error": str(error)})

    return app


def _parse(model: type[M], body: bytes) -> M:
    """Parse JSON, then check it. ``model_validate_json`` does both and takes twice as long."""
    try:
        return model.model_validate(from_json(body))
    except Malformed as error:
        raise BadRequest(f"{error.path} is {quoted(error.value)}: {error.remedy}; {_POST} {model.__name__}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}; {_POST} {model.__name__}") from None
    field = ".".join(str(part) for part in first["loc"]) or "the body"
    raise BadRequest(f"{field} is {_mistake(first)}; {_POST} {model.__name__}")


def _mistake(error: ErrorDetails) -> str:
    """The rejected value and what to write, without the members of an object or a list."""
    value = error["input"]
    if error["type"] == "missing":
        return "missing"
    wanted = "write an object" if error["type"] in ("model_type", "dict_type") else error["msg"]
    return f"{quoted(value)}: {wanted}"


def _json(status: int, value: Json, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(value), status, headers, media_type="application/json")
