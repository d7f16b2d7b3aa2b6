"""Types of fields: what an author's class takes, refuses and gets."""

from __future__ import annotations

import pytest
import trustme
from pydantic import TypeAdapter, ValidationError

from adapter.sdk import Certificates, HttpUrl

URLS: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)
CERTIFICATES: TypeAdapter[Certificates] = TypeAdapter(Certificates)


@pytest.mark.parametrize("text", ["http://h", "https://h:8443/p?q=1#f", "http://[::1]:80/"])
def test_a_url_is_the_text_that_was_written(text: str) -> None:
    assert URLS.validate_python(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "write an absolute http(s) URL like http://host/path", id="empty"),
        pytest.param("h/p", "write an absolute http(s) URL", id="relative"),
        pytest.param("ftp://h", "write an absolute http(s) URL", id="scheme"),
        pytest.param("http://", "write an absolute http(s) URL", id="no-host"),
        pytest.param("http://h:0", "write an absolute http(s) URL", id="port"),
        pytest.param("http://h/a b", "write an absolute http(s) URL", id="space"),
        pytest.param("http://[::1", "write an absolute http(s) URL", id="bracket"),
        pytest.param("http://u:p@h", "must hold no user or password; these belong into a Secret", id="password"),
    ],
)
def test_what_is_no_url_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("(", r"\(").replace(")", r"\)")):
        URLS.validate_python(text)


def test_certificates_are_taken_with_their_comments_and_nothing_else_is() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    assert CERTIFICATES.validate_python(f"# Behörde\n{pem}{pem}") == f"# Behörde\n{pem}{pem}"
    with pytest.raises(ValidationError, match="write PEM certificates"):
        CERTIFICATES.validate_python("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
