"""The baseline of the hook: plain FastAPI routes that parse the same model and return a fixed answer, under uvicorn."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter

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
