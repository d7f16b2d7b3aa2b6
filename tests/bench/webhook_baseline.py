"""The baseline for bench_webhook.py: plain uvicorn and httpx2; each POST request causes one POST to the sink."""

from __future__ import annotations

import os
from typing import Any

import httpx2
import uvicorn

SINK, PORT = os.environ["K_SINK"], int(os.environ["PORT"])
client = httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(keepalive_expiry=None))


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    response = await client.post(SINK, content=body, headers={"Content-Type": "application/json", "ce-id": "1"})
    await send({"type": "http.response.start", "status": response.status_code, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, http="httptools", access_log=False, log_level="error", lifespan="off")
