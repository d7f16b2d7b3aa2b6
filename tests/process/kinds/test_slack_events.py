"""The Slack sample: its challenge, its signature, and callbacks that Slack repeats until they are accepted.

No server can stand in for Slack, so the requests are those of its documentation:
https://docs.slack.dev/authentication/verifying-requests-from-slack and https://docs.slack.dev/apis/events-api
"""

from __future__ import annotations

import asyncio
import hmac
import json
import random
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from adapter.sdk import Event, Refusal, Reply, Request
from metacontroller.samples.kinds.slack_events_source import SlackEventsSource
from tests.process.harness import DEADLINE_S, Adapter, Start, free_port, listens, wait_until
from tests.process.kinds.adapters import KILLS, OWN, Sink

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SIGNED_AT = datetime.fromtimestamp(1531420618, UTC)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
COMMAND = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
CHALLENGE = {
    "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl",
    "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3",
    "type": "url_verification",
}


def callback(event_id: str) -> dict[str, Any]:
    event = {"type": "reaction_added", "user": "U061F1EUR", "event_ts": "1360782804.083113"}
    ids = {"team_id": "T123ABC456", "api_app_id": "A123ABC456", "event_id": event_id}
    return {
        "token": "z26uFbvR1xHJEdHE1OQiO6t8",
        **ids,
        "event": event,
        "type": "event_callback",
        "event_time": 1234567890,
    }


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """The headers of a request that Slack signs at this time."""
    mac = hmac.new(secret.encode(), f"v0:{at:.0f}:".encode() + body, "sha256").hexdigest()
    names = {"X-Slack-Request-Timestamp": f"{at:.0f}", "X-Slack-Signature": f"v0={mac}"}
    return {**names, "Content-Type": "application/json"}


def receive(
    body: bytes, headers: dict[str, str], at: datetime = SIGNED_AT + timedelta(seconds=1)
) -> Event | Reply | None:
    lower = {name.lower(): value for name, value in headers.items()}
    source = SlackEventsSource(secret=SECRET)  # type: ignore[arg-type]
    return asyncio.run(source.receive(Request("POST", "/", lower, body, received=at)))


@pytest.mark.parametrize(
    ("change", "late_s", "status", "message"),
    [
        pytest.param({}, 299, 415, "another URL", id="not an event"),
        pytest.param({}, 301, 401, "five minutes", id="too old"),
        pytest.param({}, -301, 401, "five minutes", id="from the future"),
        pytest.param({"X-Slack-Signature": SIGNATURE[:-1] + "4"}, 1, 401, "does not match", id="another signature"),
        pytest.param({"X-Slack-Signature": "\xff"}, 1, 401, "does not match", id="not ASCII"),
        pytest.param({"X-Slack-Request-Timestamp": "1531420619"}, 1, 401, "does not match", id="another time"),
        pytest.param({"X-Slack-Request-Timestamp": ""}, 1, 401, "does not match", id="no time"),
    ],
)
def test_example_of_slacks_documentation_is_refused_for_the_right_reason(
    change: dict[str, str], late_s: int, status: int, message: str
) -> None:
    """It is a slash command, so with its real signature and in time, only its content type is wrong."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    headers = {"X-Slack-Request-Timestamp": "1531420618", "X-Slack-Signature": SIGNATURE, **form, **change}
    with pytest.raises(Refusal, match=message) as refusal:
        receive(COMMAND, headers, SIGNED_AT + timedelta(seconds=late_s))
    assert refusal.value.status == status


def received(data: dict[str, Any]) -> Event | Reply | None:
    body = json.dumps(data).encode()
    return receive(body, signed(body, SIGNED_AT.timestamp()))


def test_challenge_is_answered_without_an_event() -> None:
    assert received(CHALLENGE) == Reply(200, CHALLENGE["challenge"])


def test_callback_becomes_an_event_with_the_id_that_slack_repeats() -> None:
    event = received(callback("Ev123ABC456"))
    assert isinstance(event, Event)
    assert (event.type, event.id, event.subject) == ("com.slack.reaction_added", "Ev123ABC456", "T123ABC456")
    assert event.data == callback("Ev123ABC456")


def test_notice_that_is_no_event_is_accepted_and_ignored() -> None:
    notice = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "type": "app_rate_limited", "team_id": "T123ABC456"}
    assert received(notice) is None


class Slack:
    """Sends callbacks one by one, each until it is answered with 2xx, as Slack does."""

    def __init__(self, port: int) -> None:
        self.port, self.stopped = port, threading.Event()
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S, trust_env=False)

    def post(self, data: dict[str, Any], retries: int = 0, secret: str = SECRET) -> httpx2.Response:
        body = json.dumps(data).encode()
        again = {"X-Slack-Retry-Num": str(retries), "X-Slack-Retry-Reason": "http_error"} if retries else {}
        return self._client.post("/", content=body, headers=signed(body, time.time(), secret) | again)

    def close(self) -> None:
        self.stopped.set()
        self._client.close()

    def deliver(self, ids: list[str]) -> None:
        for event_id in ids:
            retries = 0
            while not self._accepted(event_id, retries) and not self.stopped.wait(0.01):
                retries += 1

    def _accepted(self, event_id: str, retries: int) -> bool:
        try:
            return self.post(callback(event_id), retries).is_success
        except httpx2.TransportError:
            return False  # no adapter listens, or it was killed before it answered


def slack_adapter(start: Start, sink: Sink, port: int) -> Adapter:
    config = {"SOURCE_CONFIG": '{"secret": {"$env": "SOURCE_SECRET_0"}}', "SOURCE_SECRET_0": SECRET}
    running = Adapter(start, sink.url, INTERVAL="", SOURCE_KIND="SlackEventsSource", PORT=str(port), **OWN, **config)
    wait_until(lambda: listens(port), "the source", lambda: running.process.errors)
    return running


def test_adapter_answers_the_challenge_and_accepts_only_signed_callbacks(start: Start) -> None:
    with Sink() as sink, closing(Slack(free_port())) as slack:
        slack_adapter(start, sink, slack.port)
        answer = slack.post(CHALLENGE)
        assert (answer.status_code, answer.text) == (200, CHALLENGE["challenge"])
        assert slack.post(callback("Ev1"), secret="another").status_code == 401
        assert slack.post({"type": "app_rate_limited"}).status_code == 204
        assert slack.post(callback("Ev2")).status_code == 202
        assert sink.ids == ["Ev2"]


def test_answer_comes_before_slack_stops_waiting() -> None:
    source = SlackEventsSource(secret=SECRET)  # type: ignore[arg-type]
    assert source.answer_within.total_seconds() < 3


@pytest.mark.timeout(900)
def test_callbacks_that_were_under_way_at_a_kill_arrive_when_slack_repeats_them(start: Start) -> None:
    chance, ids = random.Random(5), [f"Ev{n}" for n in range(KILLS * 10)]
    with Sink(delay_s=0.02) as sink, closing(Slack(free_port())) as slack:
        sending = threading.Thread(target=slack.deliver, args=[ids])
        sending.start()
        try:
            for _ in range(KILLS):
                running = slack_adapter(start, sink, slack.port)
                sink.wait_for(len(sink.requests) + chance.randrange(1, 6))
                threading.Event().wait(chance.random() * 0.02)  # a random moment of a delivery
                running.process.child.kill()
                running.process.ended()
            slack_adapter(start, sink, slack.port)
            sending.join(300)
            assert not sending.is_alive(), f"only {len(set(sink.ids))} of {len(ids)} callbacks arrived"
        finally:
            slack.stopped.set()
            sending.join()
        copies = Counter(sink.ids)
    assert list(copies) == ids
    assert copies.total() - len(ids) <= KILLS
