"""POST /sync, POST /customize, GET /healthz: the hook's only I/O.

Bad input is a 4xx with one JSON object, never a traceback.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.datastructures import QueryParams

from hooks.configmaps import MountedConfig
from hooks.controller import KindOptions, Unprocessable, customize, sync
from hooks.names import quoted
from hooks.protocol import CustomizeRequest, SyncRequest
from hooks.settings import Settings, parse_bool, parse_sink_kinds

log = logging.getLogger("hooks.app")
M = TypeVar("M", bound=BaseModel)


class BadRequest(Exception):
    """The body is not what Metacontroller sends."""


def create_app(settings: Settings) -> FastAPI:
    app = FastAPI(title="sample-source hook", openapi_url=None)
    config = MountedConfig(settings.config_dir)

    async def post_sync(request: Request) -> Response:
        body = _parse(SyncRequest, await request.body())
        now = datetime.now(UTC).replace(microsecond=0)
        return _json(
            200, sync(body, settings, now=now, config=config, options=kind_options(request.scope["query_string"]))
        )

    async def post_customize(request: Request) -> Response:
        body = _parse(CustomizeRequest, await request.body())
        return _json(200, customize(body, settings, options=kind_options(request.scope["query_string"])))

    async def get_healthz(_: Request) -> Response:
        return _json(200, {"status": "ok", "problems": sorted(config.problems.values())})

    # Plain routes: there are no parameters to solve, and solving none still costs a sixth of a sync (tests/bench).
    app.add_route("/sync", post_sync, methods=["POST"])
    app.add_route("/customize", post_customize, methods=["POST"])
    app.add_route("/healthz", get_healthz, methods=["GET"])

    @app.exception_handler(BadRequest)
    async def bad_request(_: Request, error: BadRequest) -> Response:
        return _json(400, {"error": str(error)})

    @app.exception_handler(Unprocessable)
    async def refused(_: Request, error: Unprocessable) -> Response:
        log.warning("refused: %s", error)
        return _json(422, {"error": str(error)})

    return app


@lru_cache(maxsize=256)
def kind_options(query_string: bytes) -> KindOptions:
    query = QueryParams(query_string)
    listed, switch = query.get("sinkKinds"), query.get("diagnosePods")
    try:
        sink_kinds = parse_sink_kinds(listed, "sinkKinds") if listed else None
        diagnose_pods = parse_bool(switch, "diagnosePods") if switch else None
    except ValueError as error:
        raise BadRequest(f"the query's {error}") from None
    types = tuple(filter(None, query.get("types", "").split(",")))
    image = query.get("image") or None
    return KindOptions(types, query.get("typeField", ""), image, sink_kinds, diagnose_pods)


def _parse(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        raise BadRequest(f"the body is not JSON: {first['msg']}; post a Metacontroller {model.__name__}")
    field = ".".join(str(part) for part in first["loc"]) or "the body"
    raise BadRequest(f"{field} is {quoted(first['input'])}: {first['msg']}; post a Metacontroller {model.__name__}")


def _json(status: int, value: Any) -> Response:
    return Response(to_json(value), status, media_type="application/json")
