"""Polls an HTTP API that lists items: JSON with JMESPath, or a feed."""

from __future__ import annotations

import codecs
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal, Self

import httpx2
from pydantic import AfterValidator, ConfigDict, model_validator

from adapter.contract.auth.fields import ONE_AUTHORIZATION, HttpAuth
from adapter.contract.auth.headers import (
    HEADER_NAMES,
    HEADER_VALUES,
    authorization_in,
    check_headers,
    check_secret_headers,
    has_authorization,
)
from adapter.contract.formats import Json
from adapter.model.http_auth import credentials_of
from adapter.net import tls
from adapter.polling.client import Upstream
from adapter.polling.documents import Document, read_json, time_of, to_utf8
from adapter.polling.errors import TooLong
from adapter.polling.expressions import Evaluation, check_expression
from adapter.polling.feeds.feed_process import parse_in_subprocess
from adapter.polling.feeds.markup import check_feed, is_markup
from adapter.polling.fetch import Fetched, Login, fetch
from adapter.polling.position import WINDOW
from adapter.sdk import (
    Certificates,
    Context,
    Event,
    EventType,
    Field,
    HttpUrl,
    Interval,
    Poller,
    PollFailed,
    SecretText,
)

EVENT_TYPE = "dev.knative.poll.item"
MIB = 1024 * 1024


def _check_url(url: HttpUrl) -> HttpUrl:
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ValueError("write an absolute http(s) URL like http://host/path") from None
    return url


_AUTH_RULES: list[Any] = [
    {
        "rule": "!has(self.auth) || !(has(self.auth.basic) || has(self.auth.oauth2))"
        f" || !({authorization_in('self.headers')} || {authorization_in('self.secretHeaders')})",
        "message": ONE_AUTHORIZATION,
        "fieldPath": ".auth",
    },
    {
        "rule": "!has(self.auth) || !has(self.auth.tls) || !has(self.url) || self.url.matches('^(?i)https:')",
        "message": "tls needs an https url; write https, or remove tls",
        "fieldPath": ".auth",
    },
]
Search = Callable[[str, str, Json], Json]  # field, expression, value
Expression = Annotated[str, AfterValidator(check_expression)]


class PollSource(Poller):
    """Polls an HTTP API and sends one event for each new item. Reads JSON (with JMESPath), RSS, Atom and JSON Feed."""

    event_types = (EventType(EVENT_TYPE, "A new item of the polled list. The data is the item."),)
    event_type_field = "eventType"
    keeps_checkpoint = (
        "headers",
        "secret_headers",
        "auth",
        "event_type",
        "subject",
        "start",
        "timeout",
        "max_bytes",
        "ca_certs",
    )
    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": [*_AUTH_RULES]})

    url: Annotated[HttpUrl, AfterValidator(_check_url)] = Field(
        description="The absolute http(s) URL to poll.", examples=["https://www.githubstatus.com/history.atom"]
    )
    headers: Annotated[dict[str, str], AfterValidator(check_headers)] = Field(
        {},
        max_length=16,
        description="Headers of each request. They replace default headers, such as Accept.",
        json_schema_extra={"x-kubernetes-validations": [HEADER_NAMES, HEADER_VALUES]},
    )
    secret_headers: Annotated[dict[str, SecretText], AfterValidator(check_secret_headers)] = Field(
        {},
        max_length=16,
        alias="secretHeaders",
        description="Headers of each request with values from a Secret or ConfigMap, like Authorization. They "
        "replace headers of the same name. They are not sent to another host when url redirects there.",
        json_schema_extra={"x-kubernetes-validations": [HEADER_NAMES]},
    )
    auth: HttpAuth | None = Field(
        None,
        description="How requests to url are authenticated. These credentials are not sent to another host when url "
        "redirects there.",
    )
    items: Expression = Field(
        "@",
        min_length=1,
        max_length=1024,
        description='JMESPath expression that selects the list of items in the response, like "data.items". The '
        "default @ selects the whole response, or the entries of a feed.",
    )
    id: Expression = Field(
        "id",
        min_length=1,
        max_length=1024,
        description="JMESPath expression that selects the key of an item, a string or number. The key becomes the id "
        "of the event. An item with a new key is a new item.",
    )
    event_type: str = Field(
        EVENT_TYPE, min_length=1, max_length=256, alias="eventType", description="The CloudEvents type of the events."
    )
    subject: Expression | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="JMESPath expression that selects the CloudEvents subject from an item. Default: no subject.",
    )
    start: Literal["now", "earliest"] = Field(
        "now",
        description="Which items to send if there is no checkpoint: now sends only items that appear after the first "
        "poll, earliest also sends the items that the first poll finds.",
    )
    timeout: Interval = Field(Interval("10s"), description="Time limit of a poll, including parsing the response.")
    max_bytes: int = Field(
        MIB, ge=1024, le=4 * MIB, alias="maxBytes", description="Maximum size of a response, after decompression."
    )
    ca_certs: Certificates | None = Field(
        None, alias="CACerts", description="PEM CA certificates to trust in addition to those of the system."
    )

    @model_validator(mode="after")
    def _auth_fits(self) -> Self:
        if self.auth and self.auth.sets_authorization and has_authorization({**self.headers, **self.secret_headers}):
            raise ValueError(ONE_AUTHORIZATION)
        if self.auth and self.auth.tls and not self.url.lower().startswith("https:"):
            raise ValueError(_AUTH_RULES[1]["message"])
        return self

    def skip_existing(self) -> bool:
        return self.start == "now"

    def tls_context(self) -> ssl.SSLContext:
        return self._tls_context(self.url)

    def _tls_context(self, url: str) -> ssl.SSLContext:
        context = tls.tls_context() if url.lower().startswith("https:") else tls.empty_context()
        if self.ca_certs:
            tls.trust(context, self.ca_certs)
        return context

    def _upstream(self, context: Context, transport: httpx2.AsyncBaseTransport | None) -> Upstream:
        upstream = super()._upstream(context, transport)
        if self.auth:
            credentials = credentials_of(self.auth, context.tls_secrets)
            token_server = partial(self._token_server, context, transport)
            upstream.login = Login(self.url, credentials, token_server, self.poll_limit_s() / 2)
            upstream.certificate = credentials.client_certificate
        return upstream

    def _token_server(self, context: Context, transport: httpx2.AsyncBaseTransport | None, url: str) -> Upstream:
        """A client for the token server, which is trusted and may be connected to as the server of ``self.url``."""
        from adapter.net.oauth2 import BODY_LIMIT

        tls_context = partial(self._tls_context, url)
        return Upstream(tls_context, context.trust_bundles, BODY_LIMIT, transport, context.egress)

    def poll_limit_s(self) -> float:
        return self.timeout.ns / 1e9

    def body_limit(self) -> int:
        return self.max_bytes

    async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
        response = await self._fetch(client)
        document = await self._read(response)
        if document is None:
            return  # no items, like 204. Its validators are not kept: the body may only be missing.
        response = replace(response, body=b"")  # the body takes memory while the events are sent
        for event in self._events(document):
            yield event
        self._position.found(
            response.validators
        )  # not earlier: a 304 would hide the events that the sink has not accepted

    async def _fetch(self, client: httpx2.AsyncClient) -> Fetched:
        secrets = {name: value.get_secret_value() for name, value in self.secret_headers.items()}
        try:
            return await fetch(client, self.url, self.headers, secrets, self._position.validators)
        except TooLong:
            raise PollFailed(f"the response is longer than maxBytes ({self.max_bytes})") from None

    async def _read(self, response: Fetched) -> Document | None:
        """None if the body is empty."""
        body = to_utf8(response.body)
        if not body.strip(codecs.BOM_UTF8 + b" \t\r\n"):
            return None
        if not is_markup(body):
            return read_json(body, response.content_type)
        check_feed(body)
        # without the query, which may hold a token that does not belong into the links of events
        base = str(response.url.copy_with(query=None))
        return await parse_in_subprocess(body, response.content_type, base)

    def _events(self, document: Document) -> list[Event]:
        """The events of all items. Fails if one item has no key: sending only the other items would lose that one."""
        is_feed = document.entries is not None and self.items == "@"
        search = Evaluation(self.max_bytes).search
        items = document.entries if is_feed else search("items", self.items, document.value, check_members=True)
        if not isinstance(items, list):
            raise PollFailed(f'items "{self.items}" does not select a list; write an expression like "data.items"')
        if len(items) > WINDOW:
            raise PollFailed(f'items "{self.items}" selects {len(items)} items, more than {WINDOW}; request fewer')
        return [self._event(item, n, document, search) for n, item in enumerate(items)]

    def _event(self, item: Json, n: int, document: Document, search: Search) -> Event:
        id = _text(search("id", self.id, item))
        if id is None and document.entries is not None and self.id == "id" and isinstance(item, dict):
            id = _text(item.get("link") or item.get("url"))  # an id is optional in RSS
        if id is None:
            raise PollFailed(f'id "{self.id}" selects no key in item {n}; write an expression that fits every item')
        subject = None if self.subject is None else _text(search("subject", self.subject, item))
        time = time_of(item, document.times)
        return Event(type=self.event_type, data=item, id=id, subject=subject, time=time)


def _text(value: Json) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
