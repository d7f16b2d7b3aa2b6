"""Authentication of callers: valid values of ``auth``, and the check of requests."""

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

SECRET_EXPECTED = "set secret to {secretKeyRef: {name, key}}; omit it when type is none"

# Keys of asymmetric signatures. A public key as HMAC key lets anyone sign.
KEYS = {
    "whpk": "whpk_Pv0RF5bPRuVIqTmaC5Tnlb3QvpYJKxUpPBWOFCE9T6M=",
    "versioned-whpk": "v1a,whpk_Pv0RF5bPRuVIqTmaC5Tnlb3QvpYJKxUpPBWOFCE9T6M=",
    "whsk": "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    "pem": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----",
    "ssh": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPv0 me@host",
}


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        pytest.param({"type": "github"}, SECRET_EXPECTED, id="no-secret"),
        pytest.param({"secret": "hush"}, SECRET_EXPECTED, id="secret-without-type"),
        pytest.param({"type": "none", "secret": "hush"}, SECRET_EXPECTED, id="secret-with-none"),
        pytest.param(
            {"type": "github", "secret": ""}, "the secret is empty; write a value into the Secret", id="empty"
        ),
        pytest.param({"type": "bearer", "secret": " \n"}, "the secret is empty", id="blank"),
        pytest.param(
            {"type": "standardWebhooks", "secret": "whsec_\n"},
            "the secret is empty: it must have characters",
            id="whsec",
        ),
        pytest.param(
            {"type": "standardWebhooks", "secret": "whsec_c2VjcmV0*"},
            "the secret must be base64 after whsec_",
            id="whsec-not-base64",
        ),
        pytest.param(
            {"type": "standardWebhooks", "secret": "v1,whsec_"},
            "the secret is empty: it must have characters",
            id="version-whsec",
        ),
        pytest.param(
            {"type": "standardWebhooks", "secret": "v1,whsec_c2VjcmV0|v1,whsec_b3RoZXI"},
            "the secret must be base64 after whsec_",
            id="two-secrets",
        ),
        *(
            pytest.param({"type": type, "secret": key}, "the secret is a public or private key", id=f"{type}-{name}")
            for type in ("bearer", "github", "standardWebhooks")
            for name, key in KEYS.items()
        ),
        pytest.param({"type": "basic"}, "'none', 'bearer', 'github' or 'standardWebhooks'", id="type"),
    ],
)
def test_auth_that_accepts_no_request_or_every_request_is_an_error(auth: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookSource.model_validate({"auth": auth})
    (error,) = caught.value.errors()
    assert message in error["msg"]


@pytest.mark.parametrize("stored", ["hush", "hush\n", "hush\r\n"], ids=["plain", "line-end", "windows"])
def test_trailing_line_end_is_not_part_of_the_secret(stored: str) -> None:
    signature = "sha256=" + hmac.new(b"hush", b"body", hashlib.sha256).hexdigest()
    signed = Request("POST", "/", {"x-hub-signature-256": signature}, b"body")
    assert auth_error(Auth.model_validate({"type": "github", "secret": stored}), signed, 0) is None
    bearing = Request("POST", "/", {"authorization": "Bearer hush"}, b"body")
    assert auth_error(Auth.model_validate({"type": "bearer", "secret": stored}), bearing, 0) is None


@pytest.mark.parametrize(
    ("stored", "key"),
    [
        pytest.param("c2VjcmV0cw==", b"secrets", id="base64"),
        pytest.param("c2VjcmV0cw", b"secrets", id="no-padding"),
        pytest.param("c2VjcmV0cw=", b"secrets", id="part-of-the-padding"),
        pytest.param("c2VjcmV0=", b"secret", id="more-padding"),
        pytest.param("whsec_c2VjcmV0cw==", b"secrets", id="whsec"),
        pytest.param("whsec_c2VjcmV0cw", b"secrets", id="whsec-no-padding"),
        pytest.param("v1,whsec_c2VjcmV0cw==\n", b"secrets", id="version-whsec"),
        pytest.param("v1,whsec_c2VjcmV0cw", b"secrets", id="version-whsec-no-padding"),
        pytest.param("a key of sixteen", b"a key of sixteen", id="text"),
        pytest.param("c2Vjc", b"c2Vjc", id="text-of-a-length-that-base64-cannot-have"),
    ],
)
def test_standard_webhooks_secret_is_read_like_in_the_reference_implementation(stored: str, key: bytes) -> None:
    """The reference: Webhook.__init__ of the package standardwebhooks 1.1. It refuses texts that are not base64."""
    assert Auth.model_validate({"type": "standardWebhooks", "secret": stored}).key == key


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
def test_comparisons_take_constant_time(type: str, header: str, right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole value goes to hmac.compare_digest once, and nothing else compares it."""
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


def test_all_signatures_are_compared_even_after_one_that_matches(monkeypatch: pytest.MonkeyPatch) -> None:
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
    """A UTF-8 header as the HTTP server returns it: each byte is a latin-1 character."""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize("secret", ["pässwort", "voilà", "密码", "😀"])
def test_bearer_token_may_contain_any_character(secret: str) -> None:
    """The last byte of "à" is a space in latin-1."""
    auth = Auth.model_validate({"type": "bearer", "secret": secret})
    for given, fits in ((secret, True), (secret + "x", False), (secret[:-1], False)):
        headers = {"authorization": as_received(f"Bearer {given}")}
        assert (auth_error(auth, Request("POST", "/", headers, b""), 0) is None) is fits


def test_bearer_token_may_be_sent_in_latin_1() -> None:
    auth = Auth.model_validate({"type": "bearer", "secret": "pässwort"})
    assert auth_error(auth, Request("POST", "/", {"authorization": "Bearer pässwort"}, b""), 0) is None


@pytest.mark.parametrize(
    "timestamp",
    ["", "-7", "7" * 400, "7" * 5000, "1e3", as_received("\u0667"), "\uff17", " 7"],
    ids=["none", "negative", "400-digits", "5000-digits", "float", "arabic", "full-width", "space"],
)
def test_invalid_timestamp_is_an_error(timestamp: str) -> None:
    headers = {"webhook-id": "1", "webhook-timestamp": timestamp, "webhook-signature": standard(7)}
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    problem = auth_error(auth, Request("POST", "/", headers, BODY), 7.0)
    assert problem == "webhook-timestamp is missing or more than 300 s from now"


def test_signature_without_an_id_is_an_error() -> None:
    signature = hmac.new(base64.b64decode(KEY), b".7." + BODY, hashlib.sha256).digest()
    headers = {"webhook-timestamp": "7", "webhook-signature": "v1," + base64.b64encode(signature).decode()}
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    assert auth_error(auth, Request("POST", "/", headers, BODY), 7) == "webhook-id is missing"


def test_signed_id_may_contain_any_character() -> None:
    signature = hmac.new(base64.b64decode(KEY), "café.7.".encode() + BODY, hashlib.sha256).digest()
    headers = {
        "webhook-id": as_received("café"),
        "webhook-timestamp": "7",
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
    auth = Auth.model_validate({"type": "standardWebhooks", "secret": KEY})
    assert auth_error(auth, Request("POST", "/", headers, BODY), 7) is None
