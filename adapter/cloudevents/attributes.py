"""CloudEvents 1.0: media types and the rules for attributes (spec.md). Pure.

The official SDK checks the attributes. The checks here reject values that it accepts; a comment names each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.v1.event import CloudEvent

from adapter.contract.formats import (
    RESERVED_EXTENSIONS,
    Json,
    VerbatimTimestamp,
    extension_problem,
    is_header_text,
    quoted,
)

REQUIRED = ("specversion", "id", "source", "type")
ExtensionValue = str | int | bool


@dataclass(frozen=True)
class ReceivedEvent:
    """A CloudEvent of another sender, with all its information.

    ``attributes``: those that CloudEvents defines, as they were written. ``data``: the octets, None if there is none.
    ``content_type``: the media type of the octets, empty if it is unknown.
    """

    attributes: Mapping[str, str]
    extensions: Mapping[str, ExtensionValue]
    data: bytes | None
    content_type: str


def media_type(content_type: str) -> str:
    """The media type without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether the media type is ``*/json`` or ``*/*+json`` (CloudEvents JSON format §3.1.1)."""
    subtype = media_type(content_type).partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def canonical(value: ExtensionValue) -> str:
    """The string form of an attribute's value (spec.md §"Type System"). The SDK writes ``True`` for ``true``."""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def sdk_event(attributes: dict[str, Any], data: bytes | None = None) -> CloudEvent:
    """The SDK's event. Raises ``ValueError`` with the name and the value of the first wrong attribute.

    ``attributes`` must hold id, specversion and time: the SDK adds those that are missing.
    """
    try:
        return CloudEvent(attributes, data)
    except CloudEventValidationError as error:
        name = next(iter(error.errors))
        expected = "write 1.0" if name == "specversion" else "write a string that is not empty"
        raise ValueError(f"{name} is {quoted(attributes[name])}; {expected}") from None


def split_attributes(event: dict[str, Json]) -> tuple[dict[str, str], dict[str, ExtensionValue]]:
    """Return the attributes that CloudEvents defines, and the extensions. ``ValueError`` names an invalid attribute."""
    if missing := [name for name in REQUIRED if name not in event]:
        raise ValueError(f"required attributes are missing: {', '.join(missing)}")
    attributes = {name: event[name] for name in event if name in RESERVED_EXTENSIONS}
    extensions = {name: event[name] for name in event if name not in RESERVED_EXTENSIONS}
    try:  # the SDK accepts times that are not RFC 3339
        time = VerbatimTimestamp.read(str(attributes.get("time", "1970-01-01T00:00:00Z")))
    except ValueError as error:
        raise ValueError(f"time is {quoted(attributes['time'])}: {error}") from None
    sdk_event({**attributes, "time": time})
    if not is_header_text(attributes.get("datacontenttype", "-")):  # the SDK would write a line break into the header
        raise ValueError(f"the content type is {quoted(attributes['datacontenttype'])}; write a media type")
    for name, value in extensions.items():
        if problem := extension_problem(name, longest=None):  # the SDK accepts a name that ends with a line break
            raise ValueError(problem)
        if not isinstance(value, str | int):  # a bool is an int; the SDK accepts any type
            raise ValueError(f'extension "{name}" is {quoted(value)}; write a string, an integer or a boolean')
    if broken := [name for name, value in event.items() if isinstance(value, str) and not _is_unicode(value)]:
        raise ValueError(f"{broken[0]} contains an unpaired surrogate, which is not a character")
    return attributes, extensions


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
