"""Requests and connections that the hook refuses: the responses, and a log line if somebody can do something."""

from __future__ import annotations

import logging
from http import HTTPStatus

from pydantic_core import to_json

from adapter.serving.limits import TOO_MUCH
from adapter.serving.logs import LogThrottle
from adapter.serving.messages import Refusal, Response
from hooks.serving.metrics import HookMetrics

_REMEDIES = {
    HTTPStatus.UNAUTHORIZED: "only callers with a token of AUTH_TOKEN_FILE may call the hook",
    HTTPStatus.FORBIDDEN: "only callers with a client certificate of CLIENT_CA_FILE may call the hook",
}


class Refusals:
    def __init__(self, throttle: LogThrottle, body_size: int, metrics: HookMetrics) -> None:
        self._throttle, self.metrics = throttle, metrics
        self._larger = f"raise MAX_BODY_BYTES, which is {body_size}, and the memory limit of the hook"
        self._larger += "; for /pool/sync, raise MAX_POOL_BODY_BYTES"

    def unread(self, refusal: Refusal) -> Response:
        """As ``response_to``, of a request that was not read as a whole. Count it, too."""
        self.metrics.count_unread(refusal.status)
        return self.response_to(refusal)

    def response_to(self, refusal: Refusal) -> Response:
        """Log what a setting or a credential of the caller would prevent."""
        is_too_much = refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or str(refusal) == TOO_MUCH
        remedy = self._larger if is_too_much else _REMEDIES.get(HTTPStatus(refusal.status))
        if remedy:
            self._log({"status": refusal.status, "reason": str(refusal), "remedy": remedy})
        return refused(refusal)

    def handshake(self, problem: str) -> None:
        """A TLS handshake has failed."""
        self.metrics.failed_handshakes += 1
        remedy = "call PORT with https, TLS 1.2 or newer, trust the CA of TLS_DIR, and use a valid client certificate"
        self._log({"reason": f"the TLS handshake failed: {problem}", "remedy": remedy})

    def _log(self, fields: dict[str, object]) -> None:
        cause = f"request refused: {fields['reason']}"
        self._throttle.log(logging.WARNING, "request refused", fields, cause=cause)


def refused(refusal: Refusal) -> Response:
    headers = {"Content-Type": "application/json", **refusal.headers}
    return Response(refusal.status, to_json({"error": str(refusal)}), headers)
