"""GitHub's webhooks: one event a delivery, once its signature fits."""

import hashlib
import hmac
import json

from adapter.sdk import Event, EventType, Field, Listener, Refusal, Request, SecretText


class GithubWebhookSource(Listener):
    """Sends an event for each webhook GitHub delivers."""

    api_version = "samples.example.com/v1"
    event_types = tuple(EventType(f"com.github.{it}") for it in ("ping", "push", "pull_request", "issues"))

    secret: SecretText = Field(min_length=1, description="The webhook's secret, with which GitHub signs.")

    async def receive(self, request: Request) -> Event:
        key = self.secret.get_secret_value().strip().encode()
        signature = "sha256=" + hmac.new(key, request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), request.headers.get("x-hub-signature-256", "").encode()):
            raise Refusal(401, "X-Hub-Signature-256 does not fit the body and the secret")
        if not {"x-github-event", "x-github-delivery"} <= request.headers.keys():
            raise Refusal(400, "X-GitHub-Event and X-GitHub-Delivery are missing")
        data, name = json.loads(request.body), request.headers["x-github-event"]
        subject = data.get("repository", {}).get("full_name")
        return Event(f"com.github.{name}", data, id=request.headers["x-github-delivery"], subject=subject)
