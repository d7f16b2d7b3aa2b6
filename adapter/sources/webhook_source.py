"""Receives webhooks: whoever calls is checked, and answered after the sink."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapter.display import parse_event
from adapter.formats import RESERVED_EXTENSIONS, extension_problem, parse_time
from adapter.sdk import Event, EventType, Listener, Refusal, Request, SecretText

DEFAULT_TYPE = "dev.knative.webhook.request"
ID_HEADERS = ("x-github-delivery", "webhook-id", "x-gitlab-event-uuid")
TOLERANCE_S = 300  # Standard Webhooks: how old or new a signed request may be
_IN_TYPE = re.compile(r"[^A-Za-z0-9._-]")
_COMPLETE: dict[str, Any] = {
    "rule": "has(self.secret) == (self.type != 'none')",
    "message": "set secret: {secretKeyRef: {name, key}}, but leave it out with type none",
}
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$", max_length=64)]


class Auth(BaseModel):
    """How a caller proves who it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"x-kubernetes-validations": [_COMPLETE]})

    type: Literal["none", "bearer", "github", "standardWebhooks"] = Field(
        "none",
        description="bearer: Authorization: Bearer and the secret; github: X-Hub-Signature-256, an HMAC of the body; "
        "standardWebhooks: webhook-signature, an HMAC of id, timestamp and body.",
    )
    secret: SecretText | None = Field(None, description="What both sides know; not with none.")

    @model_validator(mode="after")
    def _complete(self) -> Auth:
        if (self.type == "none") != (self.secret is None):
            raise ValueError(_COMPLETE["message"])
        if self.secret is not None and not self.key:
            raise ValueError("the secret is empty; anybody could sign with it")
        return self

    @property
    def key(self) -> str:
        """Without the line end that a Secret made from a file has."""
        return self.secret.get_secret_value().strip() if self.secret else ""


class WebhookSource(Listener):
    """Receives HTTP requests and sends one event for each. CloudEvents pass through with their own attributes."""

    event_types = (EventType(DEFAULT_TYPE, "A request: its body as it came, with its content type."),)
    event_type_field = "eventType"

    auth: Auth | None = Field(None, description="How a caller proves who it is; by default nobody is asked.")
    event_type: str = Field(
        DEFAULT_TYPE, alias="eventType", min_length=1, max_length=256, description="The CloudEvents type."
    )
    event_type_header: HeaderName = Field(
        "", alias="eventTypeHeader", description="A header whose value is appended to the type, like X-GitHub-Event."
    )
    id_header: HeaderName = Field(
        "",
        alias="idHeader",
        description="The header that holds the caller's delivery id; by default X-GitHub-Delivery, webhook-id and "
        "X-Gitlab-Event-UUID. Without one, the id is a digest of the body.",
    )

    async def receive(self, request: Request) -> Event:
        if problem := refused(self.auth, request, time.time()):
            raise Refusal(401, problem)
        if "ce-specversion" in request.headers or "application/cloudevents" in request.headers.get("content-type", ""):
            return passed_through(request)
        return Event(
            type=self._type(request),
            id=self._id(request),
            data=request.body,
            content_type=request.headers.get("content-type") or None,
        )

    def _type(self, request: Request) -> str:
        value = request.headers.get(self.event_type_header.lower(), "") if self.event_type_header else ""
        return f"{self.event_type}.{_IN_TYPE.sub('_', value)[:128]}" if value else self.event_type

    def _id(self, request: Request) -> str:
        names = (self.id_header.lower(),) if self.id_header else ID_HEADERS
        found = next((request.headers[name] for name in names if request.headers.get(name)), None)
        return found or f"sha256-{hashlib.sha256(request.body).hexdigest()}"


def refused(auth: Auth | None, request: Request, now: float) -> str | None:
    """Why the caller is not believed, or None. Comparisons take the same time for any content."""
    if auth is None or auth.secret is None:
        return None
    secret = auth.key
    if auth.type == "bearer":
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        matches = scheme.lower() == "bearer" and _same(token.strip(), secret)
        return None if matches else "Authorization is not the bearer token that is expected"
    if auth.type == "github":
        expected = "sha256=" + hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
        matches = _same(request.headers.get("x-hub-signature-256", ""), expected)
        return None if matches else "X-Hub-Signature-256 does not match the body"
    return _standard(secret, request, now)


def _standard(secret: str, request: Request, now: float) -> str | None:
    """https://www.standardwebhooks.com: ``v1,<base64>`` over ``id.timestamp.body``, several separated by spaces."""
    id, timestamp = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp"))
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_S:
        return f"webhook-timestamp is missing, or more than {TOLERANCE_S} s off"
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = secret.encode()
    signed = f"{id}.{timestamp}.".encode("latin-1") + request.body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = request.headers.get("webhook-signature", "").split()
    matches = any([_same(it, expected) for it in given])  # a list: all are compared
    return None if matches else "webhook-signature does not match"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def passed_through(request: Request) -> Event:
    """A CloudEvent with the attributes it came with."""
    try:
        event = parse_event(request)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    structured = request.headers.get("content-type", "").startswith("application/cloudevents")
    extensions = {name: str(value) for name, value in event["extensions"].items()}
    assert not any(name in RESERVED_EXTENSIONS or extension_problem(name) for name in extensions)
    return Event(
        type=event["type"],
        id=event["id"],
        source=event["source"],
        subject=event.get("subject"),
        time=parse_time(event["time"]) if "time" in event else None,
        dataschema=event.get("dataschema"),
        extensions=extensions,
        data=event.get("data") if structured else request.body,
        content_type=event.get("datacontenttype"),
    )
