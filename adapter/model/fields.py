"""Types of fields for kinds: their form in ``spec``, and the value that the author's code gets."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from pydantic import BaseModel, SecretStr

from adapter.contract.auth.texts import CheckedText
from adapter.net import tls


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


class Certificates(CheckedText):
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
