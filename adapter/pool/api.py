"""The port of the hook: ``POST /run`` and ``POST /keep``, JSON in and out. An error is ``{"error": TEXT}``."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapter.contract.declarations import EnvError
from adapter.contract.formats import Json
from adapter.pool.pool import Pool
from adapter.serving.limits import Limits
from adapter.serving.messages import Refusal, Request, Response
from adapter.serving.wire import CheckHead

BODY_SIZE = 8 * 1024 * 1024  # bytes
REALM = 'Bearer realm="sources-pool"'
UID_LENGTH = 253  # characters; Kubernetes writes 36
_RUN = '{"sources": {UID: {VARIABLE: TEXT} or null}, "absentOnly": true or false}'
_KEEP = '{"uids": [UID], "filled": true or false}'


def limits(request_s: float, idle_s: float) -> Limits:
    """``request_s``: seconds for a head, and for a body."""
    return Limits(
        head_s=request_s,
        body_s=request_s,
        keep_alive_s=idle_s,
        body_size=BODY_SIZE,
        total_size=3 * BODY_SIZE,
        connections=64,
    )


def refused(refusal: Refusal) -> Response:
    """The response to a request that is not handled."""
    return _json(refusal.status, {"error": str(refusal)}, refusal.headers)


def check_token(file: Path | None) -> CheckHead | None:
    """Refuses a request without one of the tokens before its body is read. The file is read for each request.

    None if no token is needed. ``EnvError`` if the file cannot be used now.
    """
    if file is None:
        return None
    if not _tokens(file):
        raise EnvError("POOL_TOKEN_FILE", str(file), "write a file with one token per line")

    def check(headers: Sequence[tuple[bytes, bytes]]) -> None:
        values = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = (values[0] if len(values) == 1 else b"").partition(b" ")
        matches = [hmac.compare_digest(token.strip(), each) for each in _tokens(file)]  # a list: compares all
        if scheme.lower() != b"bearer" or not any(matches):
            reason = "a token is needed; send the header Authorization: Bearer TOKEN"
            raise Refusal(401, reason, WWW_Authenticate=REALM)

    return check


def _tokens(file: Path) -> list[bytes]:
    """None are valid while the file cannot be read."""
    try:
        return [token for line in file.read_bytes().splitlines() if (token := line.strip())]
    except OSError:
        return []


class Api:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def handle(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return refused(refusal)

    async def _answer(self, request: Request) -> Response:
        if request.path not in ("/run", "/keep"):
            raise Refusal(404, "the paths are /run and /keep")
        if request.method != "POST":
            raise Refusal(405, "the method must be POST", Allow="POST")
        if self._pool.stopping:
            raise Refusal(503, "the pool is stopping")
        body = _object(request.body, _RUN if request.path == "/run" else _KEEP)
        if request.path == "/run":
            sources = _field(body, "sources", _are_sources, _RUN)
            texts = await self._pool.run(sources, absent_only=_field(body, "absentOnly", _is_bool, _RUN))
            return _json(200, {"sources": texts})
        kept = self._pool.keep(_field(body, "uids", _are_uids, _KEEP), filled=_field(body, "filled", _is_bool, _KEEP))
        return _json(200, asdict(kept))


def _json(status: int, value: Json, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def _object(body: bytes, shape: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, f"the body is not a JSON object; write {shape}")
    return value


def _field(body: dict[str, Any], name: str, is_valid: Callable[[Any], bool], shape: str) -> Any:
    if not is_valid(body.get(name)):
        raise Refusal(400, f"{name} is {'not valid' if name in body else 'missing'}; write {shape}")
    return body[name]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_uid(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= UID_LENGTH and value.isascii() and value.isprintable()


def _are_uids(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_uid, value))


def _are_sources(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_uid(uid) and _is_environ(environ) for uid, environ in value.items())


def _is_environ(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
