"""Receives webhooks: whoever calls is checked, and answered after the sink."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Annotated

from pydantic import Field

from adapter.cloudevents.attributes import ReceivedEvent, canonical, media_type
from adapter.cloudevents.decode import FAMILY, Unsupported, is_structured, read_event
from adapter.contract.formats import VerbatimTimestamp, header_text, is_header_text
from adapter.listening.authentication import Auth, auth_error
from adapter.sdk import Event, EventType, Listener, Refusal, Request

DEFAULT_TYPE = "dev.knative.webhook.request"
SIGNED_ID = "webhook-id"  # Standard Webhooks sign it, and no other header that could be an id
ID_HEADERS = ("x-github-delivery", SIGNED_ID, "x-gitlab-event-uuid")
_IN_TYPE = re.compile(r"[^A-Za-z0-9._-]")
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$", max_length=64)]


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
        "X-Gitlab-Event-UUID, with auth standardWebhooks always webhook-id, which is signed. Without one, the id is a "
        "digest of the body.",
    )

    async def receive(self, request: Request) -> Event:
        if problem := auth_error(self.auth, request, time.time()):
            raise Refusal(401, problem)
        if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
            raise Refusal(415, f"content encoding {encoding} is not unpacked here", Accept_Encoding="identity")
        content_type = request.headers.get("content-type", "")
        if content_type and not is_header_text(content_type):
            raise Refusal(400, "Content-Type is no media type: it holds what is not printable ASCII")
        binary = "ce-specversion" in request.headers and not (self.auth and self.auth.signs)  # else they are anybody's
        if binary or is_structured(request):
            return passed_through(request)
        return Event(
            type=self._type(request), id=self._id(request), data=request.body, content_type=content_type or None
        )

    def _type(self, request: Request) -> str:
        value = header_text(request.headers.get(self.event_type_header.lower(), "")) if self.event_type_header else ""
        return f"{self.event_type}.{_IN_TYPE.sub('_', value)[:128]}" if value else self.event_type

    def _id(self, request: Request) -> str:
        names = (self.id_header.lower(),) if self.id_header else ID_HEADERS
        if self.auth and self.auth.type == "standardWebhooks":
            names = (SIGNED_ID,)
        found = next((request.headers[name] for name in names if request.headers.get(name)), None)
        return header_text(found) if found else f"sha256-{hashlib.sha256(request.body).hexdigest()}"


def passed_through(request: Request) -> Event:
    """A CloudEvent as it came, now in binary mode."""
    try:
        event = read_event(request)
    except Unsupported as error:
        raise Refusal(415, str(error)) from None
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    if media_type(event.content_type).startswith(FAMILY):
        raise Refusal(400, "data of a CloudEvent that is CloudEvents itself would be taken for them; wrap it in JSON")
    return _event(event)


def _event(event: ReceivedEvent) -> Event:
    attributes = event.attributes
    return Event(
        type=attributes["type"],
        id=attributes["id"],
        source=attributes["source"],
        subject=attributes.get("subject"),
        time=VerbatimTimestamp.read(attributes["time"]) if "time" in attributes else None,
        dataschema=attributes.get("dataschema"),
        extensions={name: canonical(value) for name, value in event.extensions.items()},
        data=event.data or b"",
        content_type=event.content_type,
    )
