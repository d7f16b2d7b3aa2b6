"""Who may call: which ``auth`` is usable, and what a secret is."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from pydantic import ValidationError

from adapter.sdk import Request
from adapter.sources.webhook_source import Auth, WebhookSource, refused

SECRET_ASKED = "set secret: {secretKeyRef: {name, key}}, but leave it out with type none"


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        pytest.param({"type": "github"}, SECRET_ASKED, id="no-secret"),
        pytest.param({"secret": "hush"}, SECRET_ASKED, id="secret-without-type"),
        pytest.param({"type": "none", "secret": "hush"}, SECRET_ASKED, id="secret-with-none"),
        pytest.param({"type": "github", "secret": ""}, "the secret is empty; anybody could sign with it", id="empty"),
        pytest.param({"type": "bearer", "secret": " \n"}, "the secret is empty", id="blank"),
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
    assert refused(Auth.model_validate({"type": "github", "secret": stored}), signed, 0) is None
    bearing = Request("POST", "/", {"authorization": "Bearer hush"}, b"body")
    assert refused(Auth.model_validate({"type": "bearer", "secret": stored}), bearing, 0) is None
