"""Slack's Events API: one event for each callback that Slack has signed."""

import hmac
import json

from adapter.sdk import Event, EventType, Field, Interval, Listener, Refusal, Reply, Request, SecretText


class SlackEventsSource(Listener):
    """Sends an event for each event that Slack delivers to a Slack app."""

    api_version = "samples.example.com/v1"
    event_types = tuple(EventType(f"com.slack.{name}") for name in ("app_mention", "message", "reaction_added"))
    answer_within: Interval = Field(Interval("2.5s"), alias="answerWithin", description="Slack waits for 3 s.")
    secret: SecretText = Field(description="Signing secret of the Slack app.")

    async def receive(self, request: Request) -> Event | Reply | None:
        at, signature = (request.headers.get(f"x-slack-{name}", "") for name in ("request-timestamp", "signature"))
        mac = hmac.new(self.secret.get_secret_value().encode(), b"v0:%b:%b" % (at.encode(), request.body), "sha256")
        if not hmac.compare_digest(f"v0={mac.hexdigest()}".encode(), signature.encode()):
            raise Refusal(401, "X-Slack-Signature does not match the timestamp, the body and the signing secret")
        if abs(request.received.timestamp() - int(at)) > 300:
            raise Refusal(401, "X-Slack-Request-Timestamp is more than five minutes away from the time of this server")
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise Refusal(415, "events are application/json; slash commands and interactions need another URL")
        data = json.loads(request.body)
        if data["type"] == "event_callback":
            return Event(f"com.slack.{data['event']['type']}", data, data["event_id"], subject=data["team_id"])
        return Reply(200, data["challenge"]) if data["type"] == "url_verification" else None
