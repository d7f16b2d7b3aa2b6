"""Who may call a source that listens: what a kind's ``spec.auth`` says, and whether a request fits it. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapter.contract.formats import header_octets, header_text
from adapter.model.fields import SecretText
from adapter.serving.messages import Request

TOLERANCE_S = 300  # Standard Webhooks: how old or new a signed request may be
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)  # not more: int() and float arithmetic have their limits
COMPLETE: dict[str, Any] = {
    "rule": "has(self.secret) == (self.type != 'none')",
    "message": "set secret: {secretKeyRef: {name, key}}, but leave it out with type none",
}


class Auth(BaseModel):
    """How a caller proves who it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"x-kubernetes-validations": [COMPLETE]})

    type: Literal["none", "bearer", "github", "standardWebhooks"] = Field(
        "none",
        description="bearer: Authorization: Bearer and the secret; github: X-Hub-Signature-256, an HMAC of the body; "
        "standardWebhooks: webhook-signature, an HMAC of id, timestamp and body.",
    )
    secret: SecretText | None = Field(None, description="What both sides know; not with none.")

    @model_validator(mode="after")
    def _complete(self) -> Auth:
        if (self.type == "none") != (self.secret is None):
            raise ValueError(COMPLETE["message"])
        if self.secret is not None and not self.key:
            raise ValueError("the secret is empty; anybody could sign with it")
        return self

    @property
    def key(self) -> bytes:
        """Without the line end that a Secret made from a file has. Standard Webhooks: base64, as ``whsec_`` says."""
        text = self.secret.get_secret_value().strip() if self.secret else ""
        if self.type != "standardWebhooks":
            return text.encode()
        try:
            return base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except ValueError:
            if text.startswith("whsec_"):
                raise ValueError("what stands behind whsec_ in the secret is not base64") from None
            return text.encode()

    @property
    def signs(self) -> bool:
        """Callers sign the body, and most headers are anybody's."""
        return self.type in ("github", "standardWebhooks")


def auth_error(auth: Auth | None, request: Request, now: float) -> str | None:
    """Why the caller is not believed, or None. Comparisons take the same time for any content."""
    if auth is None or auth.secret is None:
        return None
    if auth.type == "bearer":
        scheme, _, token = header_text(request.headers.get("authorization", "")).partition(" ")
        matches = scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), auth.key)
        return None if matches else "Authorization is not the bearer token that is expected"
    if auth.type == "github":
        expected = "sha256=" + hmac.new(auth.key, request.body, hashlib.sha256).hexdigest()
        given = header_octets(request.headers.get("x-hub-signature-256", ""))
        return None if hmac.compare_digest(given, expected.encode()) else "X-Hub-Signature-256 does not match the body"
    return _standard(auth.key, request, now)


def _standard(key: bytes, request: Request, now: float) -> str | None:
    """https://www.standardwebhooks.com: ``v1,<base64>`` over ``id.timestamp.body``, several separated by spaces."""
    id, timestamp, signatures = (
        request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not id:
        return "webhook-id is missing"
    if not _SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_S:
        return f"webhook-timestamp is missing, or more than {TOLERANCE_S} s off"
    signed = b".".join((header_octets(id), timestamp.encode(), request.body))
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    matches = any([hmac.compare_digest(it, expected) for it in header_octets(signatures).split()])  # all are compared
    return None if matches else "webhook-signature does not match"
