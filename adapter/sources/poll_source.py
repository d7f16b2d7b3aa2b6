"""Polls an HTTP interface that lists items: JSON with JMESPath, or a feed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Annotated, Any, Literal

import httpx2
import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter
from pydantic import AfterValidator, PrivateAttr

from adapter.model.fields import HEADER_NAME, HEADER_NAMES, HEADER_VALUES
from adapter.net import tls
from adapter.polling.documents import Document, check_markup, in_utf8, is_markup, read_json
from adapter.polling.errors import TooLong
from adapter.polling.feed_process import parse_in_subprocess
from adapter.polling.fetch import Fetched, fetch
from adapter.polling.progress import WINDOW
from adapter.sdk import Certificates, Event, EventType, Field, HttpUrl, Interval, Poller, PollFailed, SecretText

EVENT_TYPE = "dev.knative.poll.item"
MIB = 1024 * 1024


def _usable(url: HttpUrl) -> HttpUrl:
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ValueError("write an absolute http(s) URL like http://host/path") from None
    return url


def _jmespath(text: str) -> str:
    try:
        parsed = _parsed(text)
    except JMESPathError as error:
        reason = str(error).splitlines()[0].removeprefix("Invalid jmespath expression: ").rstrip(": ")
        raise ValueError(f'write a JMESPath expression like "data.items" ({reason})') from None
    if unknown := _functions(parsed) - Functions.FUNCTION_TABLE.keys():
        raise ValueError(f"JMESPath has no function {min(unknown)}(); there are {', '.join(Functions.FUNCTION_TABLE)}")
    return text


# jmespath.search makes a parser and an interpreter each time, for every item
_parsed = lru_cache(8)(lambda expression: jmespath.compile(expression).parsed)
_evaluated = TreeInterpreter().visit


def _functions(node: Any) -> set[str]:
    own = {node["value"]} if node["type"] == "function_expression" else set()
    return own.union(*(_functions(it) for it in node["children"] if isinstance(it, dict)))


def _header_texts(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f'"{name}" is no name of a header; write one like X-Api-Key')
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the value of {name} must be one line of ASCII characters")
    return headers


def _secret_texts(headers: dict[str, SecretText]) -> dict[str, SecretText]:
    """Without spaces at their ends, which HTTP does not carry."""
    texts = {name: value.get_secret_value().strip() for name, value in headers.items()}
    return {name: SecretText(text) for name, text in _header_texts(texts).items()}


Expression = Annotated[str, AfterValidator(_jmespath)]


class PollSource(Poller):
    """Polls an HTTP interface and emits one event for each new item: JSON by JMESPath, or RSS, Atom and JSON Feed."""

    event_types = (EventType(EVENT_TYPE, "An item that is new in what is polled; the data is the item."),)
    event_type_field = "eventType"

    url: Annotated[HttpUrl, AfterValidator(_usable)] = Field(
        description="The absolute http(s) URL to poll.", examples=["https://www.githubstatus.com/history.atom"]
    )
    headers: Annotated[dict[str, str], AfterValidator(_header_texts)] = Field(
        {},
        max_length=16,
        description="Headers of each request: name and value.",
        json_schema_extra={"x-kubernetes-validations": [HEADER_NAMES, HEADER_VALUES]},
    )
    secret_headers: Annotated[dict[str, SecretText], AfterValidator(_secret_texts)] = Field(
        {},
        max_length=16,
        alias="secretHeaders",
        description="Headers whose values stand in a Secret, like Authorization; they are not sent where url redirects "
        "to another host.",
        json_schema_extra={"x-kubernetes-validations": [HEADER_NAMES]},
    )
    items: Expression = Field(
        "@",
        min_length=1,
        max_length=1024,
        description='JMESPath to the list of items in the answer, like "data.items"; @ is the whole answer, or the '
        "entries of a feed.",
    )
    id: Expression = Field(
        "id",
        min_length=1,
        max_length=1024,
        description="JMESPath on an item to its key, a text or a number; it is the event's id, and an item is new if "
        "its key is.",
    )
    event_type: str = Field(
        EVENT_TYPE, min_length=1, max_length=256, alias="eventType", description="The type of the events."
    )
    subject: Expression | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="JMESPath on an item to the event's subject; by default there is none.",
    )
    start: Literal["now", "earliest"] = Field(
        "now",
        description="What the first poll after each start of the adapter does with the items it finds: now takes note "
        "of them, earliest sends them.",
    )
    timeout: Interval = Field(Interval("10s"), description="How long a poll may take, until its items are read.")
    max_bytes: int = Field(
        MIB, ge=1024, le=4 * MIB, alias="maxBytes", description="The longest answer that is read, unpacked."
    )
    ca_certs: Certificates | None = Field(
        None, alias="CACerts", description="PEM certificates of authorities to trust beside the system's."
    )

    _conditions: dict[str, str] = PrivateAttr(default_factory=dict)

    def skip_existing(self) -> bool:
        return self.start == "now"

    def tls_context(self) -> ssl.SSLContext:
        context = tls.tls_context() if self.url.lower().startswith("https:") else tls.empty_context()
        if self.ca_certs:
            tls.trust(context, self.ca_certs)
        return context

    def poll_limit_s(self) -> float:
        return self.timeout.ns / 1e9

    def body_limit(self) -> int:
        return self.max_bytes

    async def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
        answer = await self._fetch(client)
        document = await self._read(in_utf8(answer.body), answer.content_type)
        for event in self._events(document):
            yield event
        self._conditions = dict(answer.conditions)  # not before the sink has them all

    async def _fetch(self, client: httpx2.AsyncClient) -> Fetched:
        secrets = {name: value.get_secret_value() for name, value in self.secret_headers.items()}
        try:
            return await fetch(client, self.url, {**self.headers, **self._conditions}, secrets)
        except TooLong:
            raise PollFailed(f"the answer is longer than maxBytes ({self.max_bytes})") from None

    async def _read(self, body: bytes, content_type: str) -> Document:
        if not is_markup(body):
            return read_json(body)
        check_markup(body)
        return await parse_in_subprocess(body, content_type)

    def _events(self, document: Document) -> list[Event]:
        """All of them or none: an item without a key would be lost if those beside it were sent."""
        found = document.entries if document.entries is not None and self.items == "@" else None
        items = _search("items", self.items, document.value) if found is None else found
        if not isinstance(items, list):
            raise PollFailed(f'items "{self.items}" finds no list; write the JMESPath of one, like "data.items"')
        if len(items) > WINDOW:
            raise PollFailed(f'items "{self.items}" finds {len(items)} items, more than {WINDOW}; ask url for fewer')
        return [self._event(item, n, document) for n, item in enumerate(items)]

    def _event(self, item: Any, n: int, document: Document) -> Event:
        id = _text(_search("id", self.id, item))
        if id is None and document.entries is not None and self.id == "id" and isinstance(item, dict):
            id = _text(item.get("link") or item.get("url"))  # RSS asks for no id
        if id is None:
            raise PollFailed(f'id "{self.id}" finds no key of item {n}; write the JMESPath of one that every item has')
        subject = None if self.subject is None else _text(_search("subject", self.subject, item))
        return Event(type=self.event_type, data=item, id=id, subject=subject, time=document.time_of(item))


def _search(field: str, expression: str, value: Any) -> Any:
    try:
        return _evaluated(_parsed(expression), value)
    except Exception as error:  # the library lets Python's own out, TypeError for one; the text holds data
        raise PollFailed(f'{field} "{expression}" does not fit the answer ({type(error).__name__})') from None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
