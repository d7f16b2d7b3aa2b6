"""Types of fields for kinds: their form in ``spec``, and the value that the author's code gets."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic_core import core_schema

from adapter.contract.formats import is_http_url
from adapter.net import tls

HEADER_NAME = re.compile(r"[-!#$%&*+.^_`|~0-9A-Za-z]+", re.ASCII)
# CEL rules for a map of HTTP headers.
HEADER_NAMES: dict[str, Any] = {
    "rule": f"self.all(name, name.matches('^{HEADER_NAME.pattern}$'))",
    "message": "names of headers are letters, digits and '-', like X-Api-Key",
}
HEADER_VALUES: dict[str, Any] = {
    "rule": "self.all(name, self[name].matches('^[ -~]*$'))",
    "message": "values of headers are one line of ASCII characters",
}


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
        return core_schema.no_info_before_validator_function(
            lambda value: _secret(value) if isinstance(value, str) else value,
            super().__get_pydantic_core_schema__(source, handler),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object", "format": "key-reference"}


def secret_texts(value: object) -> list[str]:
    """The texts of all secrets in a source, at any depth of models, lists and maps."""
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return secret_texts(vars(value))
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in secret_texts(each)]
    if isinstance(value, list | tuple | set | frozenset):
        return [text for each in value for text in secret_texts(each)]
    return []


def _secret(text: str) -> str:
    if not text.strip():
        raise ValueError("the secret is empty; write a value into the Secret, or remove the reference")
    return text.rstrip("\r\n")


class _Text(str):
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


class HttpUrl(_Text):
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


class Certificates(_Text):
    """One or more PEM certificates of certificate authorities; ``ValueError`` for other texts.

    The CRD limits the text to 65536 characters.
    """

    __slots__ = ()
    schema_format = "pem-certificates"
    max_length = 65536

    def __new__(cls, text: str) -> Certificates:
        try:
            tls.trust(tls.empty_context(), text)
        except ssl.SSLError:
            raise ValueError("write PEM certificates") from None
        return super().__new__(cls, text)
