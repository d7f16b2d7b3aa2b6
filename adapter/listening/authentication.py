"""Authentication of callers: ``spec.auth`` of a kind, and the check of a request against it. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapter.contract.auth.texts import SecretText
from adapter.contract.formats import header_octets, header_text
from adapter.serving.messages import Request

TOLERANCE_S = 300  # Standard Webhooks: how far a timestamp may be from now
_SECRET_PREFIX = re.compile("(?:v1,)?whsec_")  # some services show the version of the signature before the secret
_NOT_SHARED = re.compile("(?:v1a,)?wh[ps]k_|-----BEGIN |ssh-(?:ed25519|rsa) ")  # keys of asymmetric signatures
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)  # more digits would exceed the limits of int() and float
CEL_RULE: dict[str, Any] = {
    "rule": "has(self.secret) == (self.type != 'none')",
    "message": "set secret to {secretKeyRef: {name, key}}; omit it when type is none",
}


class Auth(BaseModel):
    """How callers authenticate."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"x-kubernetes-validations": [CEL_RULE]})

    type: Literal["none", "bearer", "github", "standardWebhooks"] = Field(
        "none",
        description="none: no authentication. bearer: the header Authorization is Bearer, a space and the secret. "
        "github: the header X-Hub-Signature-256 is an HMAC of the body. standardWebhooks: the header webhook-signature "
        "is an HMAC of webhook-id, webhook-timestamp and the body. Its secret is base64, with or without whsec_.",
    )
    secret: SecretText | None = Field(None, description="Shared secret. Must be omitted when type is none.")

    @model_validator(mode="after")
    def _complete(self) -> Auth:
        if (self.type == "none") != (self.secret is None):
            raise ValueError(CEL_RULE["message"])
        if self.secret is not None and _NOT_SHARED.match(self.secret.get_secret_value().strip()):
            raise ValueError(
                "the secret is a public or private key: write a secret that only you and the caller know; for "
                "standardWebhooks it begins with whsec_"
            )
        if self.secret is not None and not self.key:
            raise ValueError("the secret is empty: it must have characters after whsec_")
        return self

    @property
    def key(self) -> bytes:
        """The secret without surrounding white space; for Standard Webhooks decoded from base64 if possible.

        As in the reference implementation, ``whsec_`` and the padding of base64 are optional. ``whsec_`` requires
        base64. https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries
        """
        text = self.secret.get_secret_value().strip() if self.secret else ""
        if self.type != "standardWebhooks":
            return text.encode()
        prefix = _SECRET_PREFIX.match(text)
        encoded = text[prefix.end() :] if prefix else text
        digits = encoded.rstrip("=")
        try:
            return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        except ValueError:
            if prefix:
                raise ValueError("the secret must be base64 after whsec_") from None
            return text.encode()

    @property
    def signs(self) -> bool:
        """True if callers sign the body. Headers that the signature does not cover cannot be trusted."""
        return self.type in ("github", "standardWebhooks")


def auth_error(auth: Auth | None, request: Request, now: float) -> str | None:
    """Why the request is not authentic, or None. ``now`` is Unix time. Comparisons take constant time."""
    if auth is None or auth.secret is None:
        return None
    if auth.type == "bearer":
        scheme, _, token = header_text(request.headers.get("authorization", "")).partition(" ")
        matches = scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), auth.key)
        return None if matches else "Authorization does not have the expected bearer token"
    if auth.type == "github":
        expected = "sha256=" + hmac.new(auth.key, request.body, hashlib.sha256).hexdigest()
        given = header_octets(request.headers.get("x-hub-signature-256", ""))
        return None if hmac.compare_digest(given, expected.encode()) else "X-Hub-Signature-256 does not match the body"
    return _standard_webhooks_error(auth.key, request, now)


def _standard_webhooks_error(key: bytes, request: Request, now: float) -> str | None:
    """Signatures are ``v1,<base64>`` of ``id.timestamp.body``, separated by spaces.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    id, timestamp, signatures = (
        request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not id:
        return "webhook-id is missing"
    if not _SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_S:
        return f"webhook-timestamp is missing or more than {TOLERANCE_S} s from now"
    signed = b".".join((header_octets(id), timestamp.encode(), request.body))
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = header_octets(signatures).split()
    matches = any([hmac.compare_digest(signature, expected) for signature in given])  # a list: compares all of them
    return None if matches else "webhook-signature does not match"
