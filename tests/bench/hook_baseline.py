"""The baselines of the hook: they return a fixed answer, under uvicorn.

``app``: plain FastAPI routes that parse the same model. ``raw``: an ASGI application that parses it, without FastAPI.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter
from starlette.types import Receive, Scope, Send

from hooks.protocol import SyncRequest

ANSWER = json.loads(Path(os.environ["BENCH_ANSWER"]).read_text())
answers = TypeAdapter(dict[str, Any])
app = FastAPI(openapi_url=None)


@app.post("/sync")
async def bare(request: Request) -> Response:
    SyncRequest.model_validate_json(await request.body())
    return Response(answers.dump_json(ANSWER), media_type="application/json")


@app.post("/model")
async def body_model(body: SyncRequest) -> Any:
    return ANSWER


@app.post("/dict")
async def body_dict(body: dict[str, Any]) -> Any:
    SyncRequest.model_validate(body)
    return ANSWER


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        SyncRequest.model_validate_json(body)
        answer = answers.dump_json(ANSWER)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
