"""Types of fields: valid and invalid values, and the value that the author gets."""

from __future__ import annotations

import pytest
import trustme
from pydantic import TypeAdapter, ValidationError

from adapter.sdk import Certificates, HttpUrl, SecretText

URLS: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)
SECRETS: TypeAdapter[SecretText] = TypeAdapter(SecretText)
CERTIFICATES: TypeAdapter[Certificates] = TypeAdapter(Certificates)


@pytest.mark.parametrize("text", ["http://h", "https://h:8443/p?q=1#f", "http://[::1]:80/"])
def test_valid_url_is_kept_as_written(text: str) -> None:
    assert URLS.validate_python(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "write an absolute http(s) URL like http://host/path", id="empty"),
        pytest.param("h/p", "write an absolute http(s) URL", id="relative"),
        pytest.param("ftp://h", "write an absolute http(s) URL", id="scheme"),
        pytest.param("http://", "write an absolute http(s) URL", id="no-host"),
        pytest.param("http://h:0", "write an absolute http(s) URL", id="port"),
        pytest.param("http://h/a b", "write an absolute http(s) URL", id="space"),
        pytest.param("http://[::1", "write an absolute http(s) URL", id="bracket"),
        pytest.param("http://u:p@h", "must not contain a user or password; put them into a Secret", id="password"),
    ],
)
def test_invalid_url_is_an_error_that_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("(", r"\(").replace(")", r"\)")):
        URLS.validate_python(text)


def test_certificates_may_have_comments_but_must_be_pem() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    assert CERTIFICATES.validate_python(f"# Behörde\n{pem}{pem}") == f"# Behörde\n{pem}{pem}"
    with pytest.raises(ValidationError, match="write PEM certificates"):
        CERTIFICATES.validate_python("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(("stored", "text"), [("hush", "hush"), ("hush\n", "hush"), ("a b \r\n", "a b ")])
def test_secret_has_no_trailing_line_end(stored: str, text: str) -> None:
    assert SECRETS.validate_python(stored).get_secret_value() == SecretText(stored).get_secret_value() == text


@pytest.mark.parametrize("blank", ["", " ", "\n"], ids=["empty", "space", "line-end"])
def test_blank_secret_is_an_error(blank: str) -> None:
    with pytest.raises(ValidationError, match="the secret is empty; write a value into the Secret"):
        SECRETS.validate_python(blank)
    with pytest.raises(ValueError, match="the secret is empty"):
        SecretText(blank)


def test_secret_is_hidden_in_str_repr_and_json() -> None:
    secret = SECRETS.validate_python("hush")
    assert "hush" not in f"{secret!r} {secret} {SECRETS.dump_json(secret)!r}"
    assert SECRETS.validate_python(secret) == secret
