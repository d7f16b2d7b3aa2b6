"""What is wrong with ``spec.sinkAuth``: in itself, and together with the sink that it is for. Pure.

No text shows a value: it may be a secret that someone has written without a reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import ValidationError

from adapter.contract.auth.fields import SinkAuth
from adapter.contract.auth.texts import REFERENCES
from adapter.contract.formats import Json, public_url

Problem = tuple[tuple[str | int, ...], str]  # the path of a field, and what to write


def problems(value: Json) -> list[Problem]:
    """Of ``sinkAuth`` in ``spec``, with references in place of secrets. Empty if it is valid."""
    try:
        SinkAuth.model_validate(value, context=REFERENCES)
    except ValidationError as error:
        return [(details["loc"], _message(details["type"], details["msg"])) for details in error.errors()]
    return []


def _message(type: str, message: str) -> str:
    plain = {"extra_forbidden": "unknown field", "missing": "this field is required", "model_type": "write an object"}
    return plain.get(type, message.removeprefix("Value error, "))


def conflict(auth: Mapping[str, Json], url: str, audience: str | None) -> str | None:
    """Why valid ``auth`` cannot be used with a sink of this URL and audience, or None."""
    model = SinkAuth.model_validate(auth, context=REFERENCES)
    parts = urlsplit(url)
    if model.tls and parts.scheme != "https":
        return f"tls needs an https sink, and the sink is {public_url(url)}; use an https URL, or remove tls"
    if model.sets_authorization and audience:
        return (
            f'the sink has the audience "{audience}", so the header Authorization has its token; remove basic, oauth2 '
            "and the header Authorization, or the audience"
        )
    if model.sets_authorization and "@" in parts.netloc:
        return "the URL of the sink has a user, which sets the header Authorization, too; remove one of them"
    return None
