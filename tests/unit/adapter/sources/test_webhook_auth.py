"""Who may call: which ``auth`` is usable, and what a secret is."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from pydantic import ValidationError

from adapter.listening.authentication import Auth, auth_error
from adapter.sdk import Request
from adapter.sources.webhook_source import WebhookSource

SECRET_ASKED = "set secret: {secretKeyRef: {name, key}}, but leave it out with type none"


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        pytest.param({"type": "github"}, SECRET_ASKED, id="no-secret"),
        pytest.param({"secret": "hush"}, SECRET_ASKED, id="secret-without-type"),
        pytest.param({"type": "none", "secret": "hush"}, SECRET_ASKED, id="secret-with-none"),
        pytest.param({"type": "github", "secret": ""}, "the secret is empty; write one into the Secret", id="empty"),
        pytest.param({"type": "bearer", "secret": " \n"}, "the secret is empty", id="blank"),
        pytest.param(
            {"type": "standardWebhooks", "secret": "whsec_\n"}, "the secret is empty; anybody could sign", id="whsec"
        ),
        pytest.param(
            {"type": "standardWebhooks", "secret": "whsec_c2VjcmV0*"},
            "what stands behind whsec_ in the secret is not base64",
            id="whsec-no-base64",
        ),
        pytest.param({"type": "basic"}, "'none', 'bearer', 'github' or 'standardWebhooks'", id="type"),
    ],
)
def test_an_auth_that_would_let_nobody_or_anybody_in_is_refused(auth: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookSource.model_validate({"auth": auth})
    (error,) = caught.value.errors()
    assert said in error["msg"]


@pytest.mark.parametrize("stored", ["hush", "hush\n", "hush\r\n"], ids=["plain", "line-end", "windows"])
def test_the_line_end_of_a_secret_made_from_a_file_is_not_part_of_it(stored: str) -> None:
    signature = "sha256=" + hmac.new(b"hush", b"body", hashlib.sha256).hexdigest()
    signed = Request("POST", "/", {"x-hub-signature-256": signature}, b"body")
    assert auth_error(Auth.model_validate({"type": "github", "secret": stored}), signed, 0) is None
    bearing = Request("POST", "/", {"authorization": "Bearer hush"}, b"body")
    assert auth_error(Auth.model_validate({"type": "bearer", "secret": stored}), bearing, 0) is None


KEY, BODY = "hush", b"body"
GITHUB = "sha256=" + hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()


def standard(at: int) -> str:
    signature = hmac.new(base64.b64decode(KEY), f"1.{at}.".encode() + BODY, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signature).decode()


def wrong_at(text: str, index: int) -> str:
    octets = list(text)
    octets[index] = "0" if octets[index] != "0" else "1"
    return "".join(octets)


@pytest.mark.parametrize(
    ("type", "header", "right"),
    [
        pytest.param("bearer", "authorization", f"Bearer {KEY}", id="bearer"),
        pytest.param("github", "x-hub-signature-256", GITHUB, id="github"),
        pytest.param("standardWebhooks", "webhook-signature", standard(7), id="standard"),
    ],
)
def test_how_long_a_comparison_takes_does_not_tell_what_was_compared(
    type: str, header: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is given goes to hmac.compare_digest, whole and once; nothing is compared before or beside it."""
    compared: list[bool] = []

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append(compare_digest(given, expected))
        return compared[-1]

    compare_digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    auth = Auth.model_validate({"type": type, "secret": KEY})
    for given, fits in ((right, True), (wrong_at(right, -1), False), (wrong_at(right, 8), False), (right + "x", False)):
        compared.clear()
        headers = {header: given, "webhook-id": "1", "webhook-timestamp": "7"}
        assert (auth_error(auth, Request("POST", "/", headers, BODY), 7) is None) is fits
        assert compared == [fits]


def test_each_of_several_signatures_is_compared_even_behind_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare_digest = hmac.compare_digest

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append(given)
        return compare_digest(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    headers = {"webhook-id": "1", "webhook-timestamp": "7", "webhook-signature": f"v1,A {standard(7)} v1,B"}
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    assert auth_error(auth, Request("POST", "/", headers, BODY), 7) is None
    assert compared == [b"v1,A", standard(7).encode(), b"v1,B"]


def as_received(text: str) -> str:
    """As an HTTP server gives a header that was sent in UTF-8."""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize("secret", ["pässwort", "voilà", "密码", "😀"])
def test_a_bearer_token_may_hold_any_character(secret: str) -> None:
    """The last octet of "à" is a space in latin-1."""
    auth = Auth.model_validate({"type": "bearer", "secret": secret})
    for given, fits in ((secret, True), (secret + "x", False), (secret[:-1], False)):
        headers = {"authorization": as_received(f"Bearer {given}")}
        assert (auth_error(auth, Request("POST", "/", headers, b""), 0) is None) is fits


def test_a_bearer_token_may_be_sent_in_latin_1() -> None:
    auth = Auth.model_validate({"type": "bearer", "secret": "pässwort"})
    assert auth_error(auth, Request("POST", "/", {"authorization": "Bearer pässwort"}, b""), 0) is None


@pytest.mark.parametrize(
    "timestamp",
    ["", "-7", "7" * 400, "7" * 5000, "1e3", as_received("\u0667"), "\uff17", " 7"],
    ids=["none", "negative", "400-digits", "5000-digits", "float", "arabic", "full-width", "space"],
)
def test_a_timestamp_that_is_no_count_of_seconds_is_refused(timestamp: str) -> None:
    headers = {"webhook-id": "1", "webhook-timestamp": timestamp, "webhook-signature": standard(7)}
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    said = auth_error(auth, Request("POST", "/", headers, BODY), 7.0)
    assert said == "webhook-timestamp is missing, or more than 300 s off"


def test_a_signature_over_no_id_is_refused() -> None:
    signature = hmac.new(base64.b64decode(KEY), b".7." + BODY, hashlib.sha256).digest()
    headers = {"webhook-timestamp": "7", "webhook-signature": "v1," + base64.b64encode(signature).decode()}
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    assert auth_error(auth, Request("POST", "/", headers, BODY), 7) == "webhook-id is missing"


def test_a_signed_id_may_hold_any_character() -> None:
    signature = hmac.new(base64.b64decode(KEY), "café.7.".encode() + BODY, hashlib.sha256).digest()
    headers = {
        "webhook-id": as_received("café"),
        "webhook-timestamp": "7",
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    assert auth_error(auth, Request("POST", "/", headers, BODY), 7) is None
