"""The credentials in ``spec``, with the values of their secrets, as the clients of sinks and upstreams need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from adapter.contract.declarations import HIDDEN, EnvError
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import Json
from adapter.net.credentials import NONE, Credentials, OAuth2

if TYPE_CHECKING:
    from adapter.contract.auth.fields import HttpAuth, SinkAuth


def credentials_of(auth: HttpAuth | None, tls_secrets: Path | None) -> Credentials:
    """``tls_secrets``: the directory with one directory for each Secret that a field ``tls.secretName`` names."""
    if auth is None:
        return NONE
    return Credentials(
        basic=(auth.basic.user, auth.basic.password.get_secret_value()) if auth.basic else None,
        oauth2=_oauth2(auth),
        client_certificate=tls_secrets / auth.tls.secret_name if auth.tls and tls_secrets else None,
    )


def read_sink_auth(env: AdapterEnv, variable: str, auth: Mapping[str, Json] | None) -> Credentials:
    """``auth``: the value of ``variable``. ``EnvError`` if it is invalid; it shows no value."""
    if auth is None:
        return NONE
    from adapter.contract.auth.fields import SinkAuth  # takes memory, and few sinks need credentials

    try:
        model = SinkAuth.model_validate(env.filled(auth))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        field = f", field {place}," if place else ""
        raise EnvError(f"{variable}{field}", HIDDEN, first["msg"].removeprefix("Value error, ")) from None
    return replace(credentials_of(model, Path(env.tls_secrets)), headers=_headers(model))


def _headers(auth: SinkAuth) -> dict[str, str]:
    """Secret headers replace those of the same name, in any case."""
    secret = {name: value.get_secret_value() for name, value in auth.secret_headers.items()}
    replaced = {name.lower() for name in secret}
    return {name: value for name, value in auth.headers.items() if name.lower() not in replaced} | secret


def _oauth2(auth: HttpAuth) -> OAuth2 | None:
    if auth.oauth2 is None:
        return None
    return OAuth2(
        token_url=auth.oauth2.token_url,
        client_id=auth.oauth2.id,
        client_secret=auth.oauth2.client_secret.get_secret_value(),
        scopes=tuple(auth.oauth2.scopes),
        audience=auth.oauth2.audience,
        method=auth.oauth2.method,
    )
