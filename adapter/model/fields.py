"""Types for the fields of a kind beyond pydantic's own: how they stand in ``spec``, what an author's code gets."""

from __future__ import annotations

import re
import ssl
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import core_schema

from adapter.contract.formats import is_http_url
from adapter.net import tls

HEADER_NAME = re.compile(r"[-!#$%&*+.^_`|~0-9A-Za-z]+", re.ASCII)
# Rules of a CRD over a map of HTTP headers.
HEADER_NAMES: dict[str, Any] = {
    "rule": f"self.all(name, name.matches('^{HEADER_NAME.pattern}$'))",
    "message": "names of headers are letters, digits and '-', like X-Api-Key",
}
HEADER_VALUES: dict[str, Any] = {
    "rule": "self.all(name, self[name].matches('^[ -~]*$'))",
    "message": "values of headers are one line of ASCII characters",
}


class SecretText(SecretStr):
    """A text that stands in a Secret or ConfigMap: ``spec`` names the place, ``get_secret_value()`` is the text.

    In ``spec``: ``{secretKeyRef: {name, key}}`` or ``{configMapKeyRef: {name, key}}``. The kubelet fills it in; neither
    the hook nor a log sees it. The line end of a Secret made from a file is no part of it, and blank it may not be:
    with an empty key anybody could sign.
    """

    def __init__(self, secret_value: str) -> None:
        super().__init__(_secret(secret_value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """pydantic's own would hide what ``__init__`` says behind "a valid string"."""
        return core_schema.no_info_before_validator_function(
            lambda it: _secret(it) if isinstance(it, str) else it, super().__get_pydantic_core_schema__(source, handler)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object", "format": "key-reference"}


def _secret(text: str) -> str:
    if not text.strip():
        raise ValueError("the secret is empty; write one into the Secret, or take the reference out")
    return text.rstrip("\r\n")


class _Text(str):
    """A text that its class checks when it is made; ``ValueError`` says what to write."""

    __slots__ = ()
    schema_format: ClassVar[str]  # by which the generator of CRDs knows it
    max_length: ClassVar[int]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(max_length=cls.max_length))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": cls.schema_format}


class HttpUrl(_Text):
    """An absolute http(s) URL without user and password, which belong into a Secret."""

    __slots__ = ()
    schema_format = "http-url"
    max_length = 2048

    def __new__(cls, text: str) -> HttpUrl:
        if not is_http_url(text):
            raise ValueError("write an absolute http(s) URL like http://host/path")
        if "@" in urlsplit(text).netloc:
            raise ValueError("must hold no user or password; these belong into a Secret")
        return super().__new__(cls, text)


class Certificates(_Text):
    """PEM certificates of authorities, one or several, and nothing secret."""

    __slots__ = ()
    schema_format = "pem-certificates"
    max_length = 65536

    def __new__(cls, text: str) -> Certificates:
        try:
            tls.trust(tls.empty_context(), text)
        except ssl.SSLError:
            raise ValueError("write PEM certificates") from None
        return super().__new__(cls, text)
