"""GitHub's webhooks: one event a delivery, once its signature fits."""

import hashlib
import hmac
import json
from typing import Any

from adapter.sdk import Event, EventType, Field, Listener, SecretText


class GithubWebhookSource(Listener):
    """Sends an event for each webhook GitHub delivers."""

    api_version = "samples.example.com/v1"
    event_types = tuple(EventType(f"com.github.{it}") for it in ("ping", "push", "pull_request", "issues"))

    secret: SecretText = Field(description="The webhook's secret, with which GitHub signs.")

    async def receive(self, request: Any) -> Event:
        key = self.secret.get_secret_value().encode()
        signature = "sha256=" + hmac.new(key, request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), request.headers.get("x-hub-signature-256", "").encode()):
            raise PermissionError("X-Hub-Signature-256 does not fit the body and the secret")
        data, name = json.loads(request.body), request.headers["x-github-event"]
        subject = data.get("repository", {}).get("full_name")
        return Event(f"com.github.{name}", data, id=request.headers["x-github-delivery"], subject=subject)
