"""The OPTIONS handshake of CloudEvents: an allowed origin gets permission to send, another one does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from adapter.sdk import Refusal, Reply
from adapter.sources.webhook_source import WebhookSource
from adapter.testing import Receive
from sources_cli.admission.validate import violations
from sources_cli.kind import kind_named
from sources_cli.schema.crd import spec_schema

ORIGIN = "eventemitter.example.com"
SIGNED: dict[str, Any] = {"auth": {"type": "github", "secret": "a key of sixteen"}}


def webhook(*origins: str, **config: Any) -> WebhookSource:
    return WebhookSource.model_validate({"allowedOrigins": list(origins), **config})


def asked(receive: Receive, source: WebhookSource, headers: dict[str, str]) -> Any:
    return receive(source, method="OPTIONS", headers=headers)


@pytest.mark.parametrize("config", [{}, SIGNED], ids=["open", "authenticated"])
@pytest.mark.parametrize(
    ("origins", "given", "allowed"),
    [
        pytest.param(["other.example.com", ORIGIN], ORIGIN, ORIGIN, id="listed"),
        pytest.param([ORIGIN], "EventEmitter.Example.com", "EventEmitter.Example.com", id="case"),
        pytest.param(["*"], ORIGIN, "*", id="any"),
        pytest.param(["*", ORIGIN], ORIGIN, ORIGIN, id="listed-and-any"),
    ],
)
def test_allowed_origin_gets_permission_without_credentials(
    receive: Receive, origins: list[str], given: str, allowed: str, config: dict[str, Any]
) -> None:
    headers = {"WebHook-Request-Origin": given, "WebHook-Request-Rate": "120", "WebHook-Request-Callback": "https://h"}
    granted = {"Allow": "POST, OPTIONS", "WebHook-Allowed-Origin": allowed, "WebHook-Allowed-Rate": "*"}
    assert asked(receive, webhook(*origins, **config), headers) == Reply(200, headers=granted)


@pytest.mark.parametrize(
    ("origins", "headers", "status"),
    [
        pytest.param([ORIGIN], {"WebHook-Request-Origin": "evil.example.com"}, 403, id="other"),
        pytest.param([ORIGIN], {"WebHook-Request-Origin": f"sub.{ORIGIN}"}, 403, id="subdomain"),
        pytest.param([ORIGIN], {"WebHook-Request-Origin": "*"}, 403, id="asterisk"),
        pytest.param([ORIGIN], {}, 400, id="missing"),
        pytest.param(["*"], {}, 400, id="missing-with-any"),
    ],
)
def test_other_origin_gets_no_permission(
    receive: Receive, origins: list[str], headers: dict[str, str], status: int
) -> None:
    with pytest.raises(Refusal) as caught:
        asked(receive, webhook(*origins), headers)
    assert (caught.value.status, caught.value.headers) == (status, {"Allow": "POST, OPTIONS"})


def test_options_is_405_without_allowed_origins(receive: Receive) -> None:
    with pytest.raises(Refusal) as caught:
        asked(receive, WebhookSource(), {"WebHook-Request-Origin": ORIGIN})
    assert (caught.value.status, caught.value.headers) == (405, {"Allow": "POST"})


def test_permission_does_not_replace_credentials(receive: Receive) -> None:
    with pytest.raises(Refusal, match="X-Hub-Signature-256 does not match") as caught:
        receive(webhook("*", **SIGNED), b"{}", headers={"WebHook-Request-Origin": ORIGIN})
    assert caught.value.status == 401


@pytest.mark.parametrize("origin", ["", "https://h", "a b", "*.example.com", "h\n", "-h", "a/b", "h:80"])
def test_origin_that_is_not_a_dns_name_is_an_error_of_class_and_crd(origin: str) -> None:
    with pytest.raises(ValidationError):
        webhook(origin)
    schema = spec_schema(kind_named("WebhookSource", "adapter.sources"))["properties"]["allowedOrigins"]
    assert violations(schema, [origin], ("spec", "allowedOrigins"))
    assert not violations(schema, [ORIGIN, "*"], ("spec", "allowedOrigins"))
