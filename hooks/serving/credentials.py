"""Who may call PORT: the certificate of the hook, the CA of client certificates, and the tokens, from files.

Tokens are compared in constant time. No error and no log line shows a credential.
"""

from __future__ import annotations

import hmac
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapter.contract.declarations import EnvError
from adapter.serving.messages import Refusal
from hooks.serving.watched import Unusable, Watched
from hooks.settings import Settings

SHORTEST_TOKEN = 16  # characters
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750 section 2.1
CERTIFICATE, KEY = "tls.crt", "tls.key"  # as in a Secret of type kubernetes.io/tls
REALM = 'Bearer realm="sources-hook"'
_TOKEN_ADVICE = f"write one token of at least {SHORTEST_TOKEN} characters per line, as of `openssl rand -hex 32`"
Headers = Sequence[tuple[bytes, bytes]]  # names in lower case


class Credentials:
    """What PORT demands of its callers. ``EnvError`` if a file cannot be used.

    ``tls``: None for plain http. Its context is the current one; take it again for each connection.
    """

    def __init__(self, settings: Settings) -> None:
        directory, client_ca, tokens = settings.tls_dir, settings.client_ca_file, settings.auth_token_file
        if client_ca and not directory:
            raise EnvError("CLIENT_CA_FILE", str(client_ca), "client certificates need TLS; set TLS_DIR, too")
        self._demands_certificate = client_ca is not None
        self._client_ca = _watched("CLIENT_CA_FILE", client_ca, [client_ca], read_certificates)
        self.tls: Watched[ssl.SSLContext] | None = _watched(
            "TLS_DIR",
            directory,
            [*([directory / CERTIFICATE, directory / KEY] if directory else []), client_ca],
            lambda path: server_context(path, self._client_ca.value if self._client_ca else ""),
        )
        self._tokens = watched_tokens("AUTH_TOKEN_FILE", tokens)
        self._files: list[Watched[Any]] = [each for each in (self._client_ca, self.tls, self._tokens) if each]

    def problems(self) -> list[str]:
        """One text for each variable whose files are invalid now."""
        return [each.problem for each in self._files if each.problem]

    @property
    def are_demanded(self) -> bool:
        return self._demands_certificate or self._tokens is not None

    def check(self, headers: Headers, *, has_certificate: bool) -> None:
        """Raise ``Refusal`` unless the request may be handled. The TLS handshake has verified the certificate."""
        if self._demands_certificate and not has_certificate:
            raise Refusal(403, "a client certificate is needed; use one that a CA in CLIENT_CA_FILE has signed")
        if self._tokens is None:
            return
        scheme, _, token = _only(headers, b"authorization").partition(b" ")
        if scheme.lower() != b"bearer":
            raise Refusal(401, "a token is needed; send the header Authorization: Bearer TOKEN", WWW_Authenticate=REALM)
        known = [hmac.compare_digest(token.strip(), each) for each in self._tokens.value]  # a list: compares all
        if not any(known):
            challenge = f'{REALM}, error="invalid_token"'
            raise Refusal(401, "the token is not valid; use one of AUTH_TOKEN_FILE", WWW_Authenticate=challenge)


def _only(headers: Headers, name: bytes) -> bytes:
    """The value of a header; empty if it is missing or repeated."""
    values = [value for each, value in headers if each == name]
    return values[0] if len(values) == 1 else b""


def _watched(setting: str, path: Path | None, files: Sequence[Path | None], read: Callable[[Path], Any]) -> Any:
    """None if the variable is not set."""
    if path is None:
        return None
    try:
        return Watched(setting, [file for file in files if file], lambda: read(path))
    except Unusable as error:
        raise EnvError(setting, str(path), str(error)) from None


def watched_tokens(setting: str, file: Path | None) -> Watched[tuple[bytes, ...]] | None:
    """The tokens in the file of a setting. None if the setting is empty. ``EnvError`` if the file cannot be used."""
    found: Watched[tuple[bytes, ...]] | None = _watched(setting, file, [file], read_tokens)
    return found


def read_tokens(file: Path) -> tuple[bytes, ...]:
    """The tokens of a file, one per line. Each of them is valid, so that two are during a rotation."""
    tokens = [(n, line.strip()) for n, line in enumerate(_text(file).splitlines(), 1) if line.strip()]
    if not tokens:
        raise Unusable(f"the file has no token; {_TOKEN_ADVICE}")
    for n, token in tokens:
        if len(token) < SHORTEST_TOKEN:
            raise Unusable(f"the token in line {n} has fewer than {SHORTEST_TOKEN} characters; {_TOKEN_ADVICE}")
        if not _TOKEN.fullmatch(token):
            raise Unusable(f"the token in line {n} has characters other than A-Z a-z 0-9 - . _ ~ + /; {_TOKEN_ADVICE}")
    return tuple(token.encode() for _, token in tokens)


def read_certificates(file: Path) -> str:
    """The text of a file with the certificates of CAs, PEM."""
    text = _text(file)
    if not _is_certificate(text):
        raise Unusable(f"{file.name} is not PEM; write certificates that begin with -----BEGIN CERTIFICATE-----")
    return text


def server_context(directory: Path, client_ca: str) -> ssl.SSLContext:
    """With ``tls.crt`` and ``tls.key`` of ``directory``. ``client_ca``: the CAs of client certificates, PEM, or empty.

    A caller without a certificate passes the handshake. ``Credentials.check`` refuses its requests and tells it why.
    """
    certificate, key = directory / CERTIFICATE, directory / KEY
    read_certificates(certificate)
    _text(key)  # OpenSSL does not tell which file is missing
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")  # without one, OpenSSL would ask on the terminal
    except (ssl.SSLError, OSError) as error:
        raise Unusable(_key_problem(getattr(error, "reason", None) or "")) from None
    if client_ca:
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _key_problem(reason: str) -> str:
    if "MISMATCH" in reason:
        return f"{KEY} is not the key of {CERTIFICATE}; write both files of one certificate"
    if reason:
        return f"OpenSSL refuses {CERTIFICATE} and {KEY}: {reason.lower().replace('_', ' ')}; write another pair"
    return f"{KEY} is not a PEM private key; write it without a password"


def _is_certificate(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _text(file: Path) -> str:
    """ASCII. Comments in PEM may have other characters."""
    try:
        return file.read_bytes().decode("ascii", "replace").replace("\ufffd", "?")
    except OSError as error:
        raise Unusable(f"{file.name} cannot be read: {error.strerror}; write this file") from None
