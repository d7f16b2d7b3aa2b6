"""Fields of a spec that refer to a key of a Secret or ConfigMap. Pure.

The hook replaces each reference with ``{"$env": "SOURCE_SECRET_<n>"}`` and sets a variable of that name; the adapter
puts the value back. With ``"optional": true`` the variable may be missing; the adapter then omits the field.
A field ``tls: {secretName: NAME}`` stays as it is: the hook mounts that Secret, and the adapter reads its files.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import quote_plus, unquote

from adapter.contract.formats import SECRET_LENGTH, Json, url_secrets

SECRET_VARIABLE = "SOURCE_SECRET_{}"
REFERENCE_KEYS = ("secretKeyRef", "configMapKeyRef")
_ABSENT = object()
_OBJECT_NAME = re.compile("[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", re.ASCII)


def split_references(config: Mapping[str, Json], first: int = 0) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the config with ``{"$env": NAME}`` for each reference, and the references by NAME.

    A reference is ``{"secretKeyRef": …}`` or ``{"configMapKeyRef": …}``, at any depth. ``first``: the number of the
    first one.
    """
    references: dict[str, Json] = {}

    def walk(value: Json) -> Json:
        if _is_reference(value):
            name = SECRET_VARIABLE.format(first + len(references))
            references[name] = _sorted(value)
            return {"$env": name, "optional": True} if _is_optional(value) else {"$env": name}
        if isinstance(value, Mapping):
            return {key: walk(value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    return {key: walk(config[key]) for key in sorted(config)}, references


def _is_reference(value: Json) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in REFERENCE_KEYS


def _is_optional(reference: Mapping[str, Json]) -> bool:
    key = next(iter(reference.values()))
    return isinstance(key, Mapping) and key.get("optional") is True


def _sorted(value: Json) -> Json:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, Mapping) else value


def join_references(config: Mapping[str, Json], references: Mapping[str, Json]) -> dict[str, Json]:
    """The config that :func:`split_references` was called with."""

    def walk(value: Json) -> Json:
        if isinstance(value, Mapping):
            name = value.get("$env")
            if isinstance(name, str) and name in references:
                return references[name]
            return {key: walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    return {key: walk(item) for key, item in config.items()}


def tls_secrets(value: Json) -> Iterator[str]:
    """NAME of each field ``tls: {secretName: NAME}``, at any depth: Secrets with a certificate and its key."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "tls" and isinstance(item, Mapping) and item.keys() == {"secretName"}:
                if isinstance(name := item["secretName"], str) and _OBJECT_NAME.fullmatch(name):
                    yield name
            else:
                yield from tls_secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from tls_secrets(item)


def fill(config: Mapping[str, Json], secrets: Mapping[str, str]) -> dict[str, Json]:
    """The config with the values of its secrets. ``KeyError`` names the first required variable that is missing."""

    def fields(value: Mapping[str, Json]) -> dict[str, Json]:
        filled = {key: walk(item) for key, item in value.items()}
        return {key: item for key, item in filled.items() if item is not _ABSENT}

    def walk(value: Json) -> Json:
        if isinstance(value, Mapping):
            name = value.get("$env")
            if not isinstance(name, str) or not value.keys() <= {"$env", "optional"}:
                return fields(value)
            return secrets.get(name, _ABSENT) if "optional" in value else secrets[name]
        return [item for item in map(walk, value) if item is not _ABSENT] if isinstance(value, list) else value

    return fields(config)


def texts_of_secrets(secrets: Mapping[str, str], values: Json) -> Iterator[str]:
    """The secrets, and the secret parts of all URLs in ``values``. Of ``Bearer TOKEN``, also the token alone."""
    yield from filter(None, secrets.values())
    for words in (secret.split() for secret in secrets.values()):
        if len(words) == 2:
            yield words[1]
    for text in _texts(values):
        yield from url_secrets(text)


def texts_of_headers(otel: Mapping[str, str]) -> Iterator[str]:
    """The values of headers like ``api-key=TEXT,authorization=Bearer%20TOKEN`` in the variables of OpenTelemetry."""
    for header in ",".join(text for name, text in otel.items() if name.endswith("_HEADERS")).split(","):
        value = header.partition("=")[2] or header
        for text in {value.strip(): 1, unquote(value).strip(): 1, **dict.fromkeys(unquote(value).split())}:
            if len(text) >= SECRET_LENGTH:
                yield text


def authorizations(value: Json) -> Iterator[str]:
    """What the header Authorization has after ``Basic``, for each user with a password in ``value``, at any depth.

    Those of an OAuth 2.0 client are form-encoded first (RFC 6749, section 2.3.1).
    """
    if isinstance(value, Mapping):
        for name, secret_name, encoded in (("username", "password", str), ("clientId", "clientSecret", quote_plus)):
            user, secret = value.get(name) or value.get(f"{name}From") or "", value.get(secret_name)
            if isinstance(user, str) and isinstance(secret, str):
                pair = (encoded(user.strip()), encoded(secret.rstrip("\r\n")))
                yield b64encode(":".join(pair).encode()).decode()
        value = [*value.values()]
    for item in value if isinstance(value, list) else ():
        yield from authorizations(item)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)
