"""``headers`` and ``secretHeaders`` in ``spec``: their checks, and the same checks as CEL rules.

The CEL rules leave out what exceeds the cost limit of the API server: two names that differ only in case.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from adapter.contract.auth.texts import SecretText

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
# The adapter sets these itself: they frame a request (RFC 9110, RFC 9112), or belong to the event (CloudEvents).
_OF_ADAPTER = (
    "host|content-.*|transfer-encoding|te|trailer|connection|keep-alive|proxy-.*|upgrade|expect|accept|accept-encoding"
    "|user-agent|traceparent|tracestate|ce-.*"
)
_OF_ADAPTER_NAME = re.compile(_OF_ADAPTER, re.IGNORECASE | re.ASCII)
_REFUSED = (
    "the adapter sets Host, Content-*, Transfer-Encoding, TE, Trailer, Connection, Keep-Alive, Proxy-*, Upgrade, "
    "Expect, Accept, Accept-Encoding, User-Agent, Traceparent, Tracestate and ce-* itself; choose another name"
)
OTHER_NAMES: dict[str, Any] = {
    "rule": f"self.all(name, !name.matches('^(?i)({_OF_ADAPTER})$'))",
    "message": _REFUSED,
}


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """``ValueError`` for a name or a value that HTTP does not allow. It shows names, and no values."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f'"{name}" is not a valid header name; write one like X-Api-Key')
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the value of {name} must be printable ASCII on one line")
    names = Counter(name.lower() for name in headers)
    if twice := sorted(name for name in headers if names[name.lower()] > 1):
        raise ValueError(f"{' and '.join(twice)} are the same header, because case does not matter; keep one of them")
    return headers


def check_secret_headers(headers: dict[str, SecretText]) -> dict[str, SecretText]:
    """Remove leading and trailing spaces: they are not part of an HTTP header value (RFC 9110, section 5.5)."""
    texts = {name: value.get_secret_value().strip() for name, value in headers.items()}
    return {name: SecretText(text) for name, text in check_headers(texts).items()}


def check_not_of_adapter(headers: dict[str, Any]) -> dict[str, Any]:
    """``ValueError`` for a header that the adapter sets itself."""
    for name in headers:
        if _OF_ADAPTER_NAME.fullmatch(name):
            raise ValueError(f'"{name}" is not allowed: {_REFUSED}')
    return headers


def authorization_in(headers: str) -> str:
    """CEL: whether the map ``headers`` has a header Authorization. ``headers``: its name, like ``self.headers``."""
    return f"(has({headers}) && {headers}.exists(name, name.matches('^(?i)authorization$')))"


def has_authorization(headers: Mapping[str, Any]) -> bool:
    return any(name.lower() == "authorization" for name in headers)
