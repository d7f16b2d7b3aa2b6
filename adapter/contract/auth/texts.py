"""Types of texts in ``spec`` that are checked when they are read: references to secrets, and URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import core_schema

from adapter.contract.formats import Json, is_http_url, quoted
from adapter.contract.kind_names import MAX_NAME
from adapter.contract.secret_refs import REFERENCE_KEYS

REFERENCES = "references"  # the context of a validation of ``spec`` itself: it has references in place of secrets
_REFERENCE = "write {secretKeyRef: {name, key}} or {configMapKeyRef: {name, key}}"


class SecretText(SecretStr):
    """A text from a Secret or ConfigMap. ``get_secret_value()`` returns it; ``str()`` and ``repr()`` hide it.

    In ``spec`` it is ``{secretKeyRef: {name, key}}`` or ``{configMapKeyRef: {name, key}}``. The kubelet resolves the
    reference, so the hook never reads the text. Line ends at the end are removed, because a Secret made from a file has
    one. A blank text is a ``ValueError``: anyone could sign with an empty key.
    """

    def __init__(self, secret_value: str) -> None:
        super().__init__(_secret(secret_value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Check the text before pydantic does: pydantic would report only "Input should be a valid string"."""
        return core_schema.with_info_before_validator_function(
            _read, super().__get_pydantic_core_schema__(source, handler)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object", "format": "key-reference"}


def _read(value: Any, info: core_schema.ValidationInfo) -> Any:
    if info.context == REFERENCES:
        _check_reference(value)
        return "(secret)"
    return _secret(value) if isinstance(value, str) else value


def _secret(text: str) -> str:
    if not text.strip():
        raise ValueError("the secret is empty; write a value into the Secret, or remove the reference")
    return text.rstrip("\r\n")


def _check_reference(value: Json) -> None:
    """The value may be the secret itself, so no error shows it."""
    if not isinstance(value, Mapping) or len(value) != 1 or not (keys := value.keys() & set(REFERENCE_KEYS)):
        raise ValueError(_REFERENCE)
    place = value[keys.pop()]
    if not isinstance(place, Mapping) or not place.keys() <= {"name", "key", "optional"}:
        raise ValueError(_REFERENCE)
    for part in ("name", "key"):
        text = place.get(part)
        if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME:
            raise ValueError(f"its {part} is {quoted(text)}: {_REFERENCE}")
    if not isinstance(place.get("optional"), bool | None):
        raise ValueError(f"its optional is {quoted(place['optional'])}: write true or false")


class CheckedText(str):
    """A string that is checked when it is created. The text of a ``ValueError`` tells what to write."""

    __slots__ = ()
    schema_format: ClassVar[str]  # identifies the type for the CRD generator
    max_length: ClassVar[int]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(max_length=cls.max_length))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": cls.schema_format}


class HttpUrl(CheckedText):
    """An absolute http(s) URL without user and password, as written in ``spec``; ``ValueError`` for other texts.

    The CRD limits it to 2048 characters.
    """

    __slots__ = ()
    schema_format = "http-url"
    max_length = 2048

    def __new__(cls, text: str) -> HttpUrl:
        if not is_http_url(text):
            raise ValueError("write an absolute http(s) URL like http://host/path")
        if "@" in urlsplit(text).netloc:
            raise ValueError("must not contain a user or password; put them into a Secret")
        return super().__new__(cls, text)
