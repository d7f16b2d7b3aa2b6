"""Webhooks of GitHub: one event for each delivery with a valid signature."""

import hmac
import json

from adapter.sdk import Event, EventType, Field, Listener, Refusal, Request, SecretText


class GithubWebhookSource(Listener):
    """Sends an event for each webhook that GitHub delivers."""

    api_version = "samples.example.com/v1"
    event_types = tuple(EventType(f"com.github.{name}") for name in ("ping", "push", "pull_request", "issues"))
    secret: SecretText = Field(description="Secret of the webhook. GitHub signs its requests with it.")

    async def receive(self, request: Request) -> Event:
        mac = hmac.new(self.secret.get_secret_value().encode(), request.body, "sha256").hexdigest()
        if not hmac.compare_digest(f"sha256={mac}".encode(), request.headers.get("x-hub-signature-256", "").encode()):
            raise Refusal(401, "X-Hub-Signature-256 does not match the body and the secret")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "choose the content type application/json in the webhook settings of GitHub")
        name, delivery = (request.headers.get(f"x-github-{header}") for header in ("event", "delivery"))
        if not name or not delivery:
            raise Refusal(400, "X-GitHub-Event or X-GitHub-Delivery is missing or empty")
        try:
            data = {**json.loads(request.body)}
        except (TypeError, ValueError):
            raise Refusal(400, "the body is not a JSON object") from None
        repository = data["repository"] if isinstance(data.get("repository"), dict) else {}
        return Event(f"com.github.{name}", data, id=delivery, subject=str(repository.get("full_name") or "") or None)
