"""``spec.sinkAuth`` and its parts, one model for the CRD, the hook and the adapter. Pure.

In ``spec``, each secret is a reference; validate with the context ``REFERENCES`` then. The adapter gets the same object
with the values of the secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import core_schema

from adapter.contract.auth.headers import (
    HEADER_NAMES,
    HEADER_VALUES,
    OTHER_NAMES,
    authorization_in,
    check_headers,
    check_not_of_adapter,
    check_secret_headers,
    has_authorization,
)
from adapter.contract.auth.texts import HttpUrl, SecretText
from adapter.contract.kind_names import MAX_NAME

Rules = dict[str, Any]
ONE_AUTHORIZATION = (
    "write only one of basic, oauth2 and a header named Authorization: each of them sets the header Authorization"
)


def _rule(cel: str, message: str) -> Rules:
    return {"rule": cel, "message": message}


def _model(*rules: Rules) -> ConfigDict:
    listed: Any = {"x-kubernetes-validations": [*rules]} if rules else None
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra=listed)


@dataclass(frozen=True)
class _Matching:
    """A text matches ``pattern``, for both Python and RE2. The CRD has the same check as a CEL rule."""

    pattern: str
    message: str
    longest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._check, core_schema.str_schema(max_length=self.longest)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        escaped = self.pattern.replace("\\", "\\\\")
        rule = _rule(f"self.matches('^({escaped})$')", self.message)
        return {"type": "string", "maxLength": self.longest, "x-kubernetes-validations": [rule]}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError(self.message)
        return text


def _either(text: str, reference: str) -> Rules:
    return _rule(f"has(self.{text}) != has(self.{reference})", f"write either {text} or {reference}")


_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
Username = Annotated[str, _Matching(r"[^:\x00-\x1f\x7f]*", "must not contain a colon or control characters", 256)]
Parameter = Annotated[str, _Matching(r"[^\x00-\x1f\x7f]+", "must not be empty or contain control characters", 1024)]
Scope = Annotated[str, _Matching(r"[!#-\[\]-~]+", "write a scope without spaces, quotes and backslashes", 256)]
_SECRET_NAME = "write the name of a Secret: lower-case letters, digits, '-' and '.'"
SecretName = Annotated[str, _Matching(rf"{_PART}([.]{_PART})*", _SECRET_NAME, MAX_NAME)]


class Basic(BaseModel):
    """A user and a password (RFC 7617)."""

    model_config = _model(_either("username", "usernameFrom"))

    username: Username | None = Field(None, description="The user.")
    username_from: SecretText | None = Field(
        None, alias="usernameFrom", description="The user, from a Secret or ConfigMap."
    )
    password: SecretText = Field(description="The password, from a Secret.")

    @model_validator(mode="after")
    def _one_user(self) -> Self:
        _check_one(self.username, self.username_from, "username", "usernameFrom")
        if ":" in self.user or not self.user.isprintable():
            raise ValueError("the user must not contain a colon or control characters")
        if not self.password.get_secret_value().isprintable():
            raise ValueError("the password must be one line of printable characters")
        return self

    @property
    def user(self) -> str:
        return _value(self.username, self.username_from)


class ClientCredentials(BaseModel):
    """Tokens from an OAuth 2.0 server, with client credentials (RFC 6749, section 4.4)."""

    model_config = _model(_either("clientId", "clientIdFrom"))

    token_url: HttpUrl = Field(alias="tokenUrl", description="The http(s) URL of the token server's token endpoint.")
    client_id: Parameter | None = Field(None, alias="clientId", description="The client's id.")
    client_id_from: SecretText | None = Field(
        None, alias="clientIdFrom", description="The client's id, from a Secret or ConfigMap."
    )
    client_secret: SecretText = Field(alias="clientSecret", description="The client's secret, from a Secret.")
    scopes: list[Scope] = Field(
        default_factory=list, max_length=32, description="The scopes to ask for. Default: those of the token server."
    )
    audience: Parameter | None = Field(
        None, description="The parameter audience of the token request, which some token servers need."
    )
    method: Literal["client_secret_basic", "client_secret_post"] = Field(
        "client_secret_basic",
        description="How the client authenticates to the token server: in the header Authorization "
        "(client_secret_basic), or in the body of the request (client_secret_post).",
    )

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        _check_one(self.client_id, self.client_id_from, "clientId", "clientIdFrom")
        if not all(text.isprintable() for text in (self.id, self.client_secret.get_secret_value())):
            raise ValueError("the client's id and secret must be one line of printable characters")
        return self

    @property
    def id(self) -> str:
        return _value(self.client_id, self.client_id_from)


class ClientCertificate(BaseModel):
    """A client certificate for TLS. The adapter reads it again when the Secret changes."""

    model_config = _model()

    secret_name: SecretName = Field(
        alias="secretName",
        description="A Secret of type kubernetes.io/tls in the source's namespace, with tls.crt and tls.key.",
    )


class HttpAuth(BaseModel):
    """How requests to an HTTP server are authenticated: ``basic`` or ``oauth2``, and a client certificate."""

    model_config = _model(_rule("!(has(self.basic) && has(self.oauth2))", ONE_AUTHORIZATION))

    basic: Basic | None = Field(None, description="A user and a password.")
    oauth2: ClientCredentials | None = Field(
        None, description="A token from an OAuth 2.0 server. It is renewed before it expires."
    )
    tls: ClientCertificate | None = Field(None, description="A client certificate. It needs an https URL.")

    @model_validator(mode="after")
    def _one_authorization(self) -> Self:
        if sum(self._authorizations()) > 1:
            raise ValueError(ONE_AUTHORIZATION)
        return self

    def _authorizations(self) -> list[bool]:
        """Whether each way that sets the header Authorization is used."""
        return [self.basic is not None, self.oauth2 is not None]

    @property
    def sets_authorization(self) -> bool:
        return any(self._authorizations())


class SinkAuth(HttpAuth):
    """How requests to the sink are authenticated."""

    model_config = _model(
        _rule(
            "[has(self.basic), has(self.oauth2), "
            f"{authorization_in('self.headers')}, {authorization_in('self.secretHeaders')}]"
            ".filter(used, used).size() <= 1",
            ONE_AUTHORIZATION,
        )
    )

    headers: Annotated[dict[str, str], AfterValidator(check_headers), AfterValidator(check_not_of_adapter)] = Field(
        default_factory=dict,
        max_length=16,
        description="Headers of each request, by name.",
        json_schema_extra={"x-kubernetes-validations": [HEADER_NAMES, OTHER_NAMES, HEADER_VALUES]},
    )
    secret_headers: Annotated[
        dict[str, SecretText], AfterValidator(check_secret_headers), AfterValidator(check_not_of_adapter)
    ] = Field(
        default_factory=dict,
        max_length=16,
        alias="secretHeaders",
        description="Headers of each request with values from a Secret or ConfigMap, like X-Api-Key. They replace "
        "headers of the same name.",
        json_schema_extra={"x-kubernetes-validations": [HEADER_NAMES, OTHER_NAMES]},
    )

    def _authorizations(self) -> list[bool]:
        return [*super()._authorizations(), has_authorization(self.headers), has_authorization(self.secret_headers)]


def _check_one(text: str | None, reference: SecretText | None, name: str, reference_name: str) -> None:
    if (text is None) == (reference is None):
        raise ValueError(f"write either {name} or {reference_name}")


def _value(text: str | None, reference: SecretText | None) -> str:
    return reference.get_secret_value().strip() if reference else text or ""
