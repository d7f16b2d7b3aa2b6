"""A source is unready after 30 s without an accepted event, with a reason that shows no secret and no event data."""

from __future__ import annotations

import asyncio
import base64
from itertools import repeat
from pathlib import Path

import pytest

from adapter.contract.delivery_policy import Policy
from adapter.delivery.channel import Destination
from adapter.delivery.unaccepted import LINE_LENGTH, SEARCHED_DATA, first_line
from adapter.sdk import Outcome
from adapter.testing.clock import START
from tests.deadline import DEADLINE_S
from tests.unit.adapter.delivery.scenario import EVENT, MESSAGE, SECRET, Hang, Scenario, status, unreachable

NO_RETRY = Policy(retry=0)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.payload.signature"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(status(400), id="refused"),
        pytest.param(status(404), id="retries used up"),
        pytest.param(unreachable(), id="no connection"),
    ],
)
def test_source_is_unready_30_s_after_its_only_event_failed(answer: object) -> None:
    scenario = Scenario(answer, then=[status(202)], policy=NO_RETRY)  # type: ignore[arg-type]
    scenario.deliver()
    assert scenario.delivery.unready_reason() is None
    scenario.clock.advance(29.9)
    assert scenario.delivery.unready_reason() is None
    scenario.clock.advance(0.1)
    assert scenario.delivery.unready_reason()
    assert scenario.deliver() is Outcome.DELIVERED
    assert scenario.delivery.unready_reason() is None


def test_source_is_unready_while_its_first_event_is_still_retried() -> None:
    async def test() -> None:
        delivering = asyncio.create_task(scenario.delivery.deliver(EVENT, MESSAGE))
        await asyncio.wait_for(hang.requested.wait(), DEADLINE_S)  # the second attempt
        scenario.clock.advance(30)
        assert scenario.delivery.unready_reason()
        delivering.cancel()

    hang = Hang()
    scenario = Scenario(status(503), hang)
    asyncio.run(test())


def test_failures_before_the_last_accepted_event_do_not_count() -> None:
    scenario = Scenario(status(400), status(202), status(400))
    scenario.deliver()
    scenario.clock.advance(29)
    scenario.deliver()
    scenario.deliver()
    scenario.clock.advance(29)
    assert scenario.delivery.unready_reason() is None


def test_dead_letter_is_no_accepted_event() -> None:
    scenario = Scenario(then=repeat(status(403)), dead=repeat(status(202)))
    assert scenario.deliver() is Outcome.DEAD_LETTERED
    scenario.clock.advance(30)
    assert scenario.delivery.unready_reason()


def test_invalid_event_counts_as_a_failure() -> None:
    scenario = Scenario()
    scenario.delivery.count_invalid("type is missing")
    scenario.clock.advance(30)
    reason = "no event is accepted: 1 failure since 2026-01-01T00:00:00Z; the last one: invalid event: type is missing"
    assert scenario.delivery.unready_reason() == reason


def test_reason_has_the_status_the_first_line_the_time_and_the_number_of_failures() -> None:
    body = b"\r\n  quota\texceeded \nsee http://docs\n"
    scenario = Scenario(status(500), status(403, body), policy=NO_RETRY)
    scenario.deliver()
    scenario.clock.advance(30)
    scenario.deliver()
    reason = "no event is accepted: 2 failures since 2026-01-01T00:00:00Z; the last one: answered 403: quota exceeded"
    assert [scenario.delivery.unready_reason(), scenario.delivery.unready_reason()] == [reason, reason]
    lost = scenario.book.logged("event lost")[1]
    assert (lost["code"], lost["reason"]) == ("403", "answered 403: quota exceeded")
    (unready,) = scenario.book.logged("not ready")  # not at each probe
    assert (unready["level"], unready["failures"], unready["since"]) == ("warn", 2, "2026-01-01T00:00:00Z")
    assert unready["reason"] == "answered 403: quota exceeded"


def test_recovered_follows_the_line_that_says_not_ready() -> None:
    scenario = Scenario(status(400), status(202))
    scenario.deliver()
    scenario.clock.advance(30)
    scenario.delivery.unready_reason()
    scenario.deliver()
    assert [line["msg"] for line in scenario.book.lines] == [
        "event lost",
        "not ready: no event is accepted",
        "recovered",
    ]
    assert scenario.book.lines[-1]["failed_attempts"] == 1


def test_sink_that_refuses_all_events_for_an_hour_writes_ten_lines_with_ids_and_then_one_per_minute() -> None:
    events = 3600
    scenario = Scenario(*repeat(status(403), events), status(202), policy=NO_RETRY)
    for _ in range(events):
        scenario.deliver()
        scenario.clock.advance(1)
    scenario.deliver()
    lost = scenario.book.logged("event lost")
    assert [line["count"] for line in lost[:10]] == [1] * 10
    assert len(lost) == 10 + 60
    assert sum(line["count"] for line in lost) == events
    assert scenario.book.lines[-1]["msg"] == "recovered"


def test_metric_has_the_time_of_the_first_failure_until_an_event_is_accepted() -> None:
    scenario = Scenario(status(202), status(400), status(400), status(202))
    seen = []
    for _ in range(4):
        scenario.deliver()
        seen.append(float(scenario.series("source_failing_since_timestamp_seconds{")[0].rpartition(" ")[2]))
        scenario.clock.advance(10)
    assert seen == [0, START.timestamp() + 10, START.timestamp() + 10, 0]


def test_reason_shows_no_secret_and_no_event_data_that_the_sink_sends_back() -> None:
    body = f"bad credentials hunter2, pass, key {base64.b64encode(b'user:pass').decode()}: {SECRET}".encode()
    scenario = Scenario(then=repeat(status(400, body)), secrets=["hunter2"], dead=repeat(status(400, body)))
    scenario.deliver()
    scenario.clock.advance(30)
    expected = "answered 400: bad credentials (secret), (secret), key (secret): (event data)"
    assert (scenario.delivery.unready_reason() or "").endswith(f"; the last one: {expected}")
    assert {line["reason"] for line in scenario.book.lines} == {expected}


@pytest.mark.parametrize(
    ("body", "line"),
    [
        pytest.param(b"", "", id="empty"),
        pytest.param(b"\n \n", "", id="blank"),
        pytest.param("\ufeffnein: größer".encode(), "nein: größer", id="byte order mark"),
        pytest.param(b"caf\xe9", "caf\ufffd", id="latin-1"),
        pytest.param(b"\x1b[2Jcleared", "", id="terminal codes"),
        pytest.param(b"\x1f\x8b\x08\x00\x00\x00", "", id="gzip"),
        pytest.param("a\u202eb".encode(), "", id="right-to-left"),
        pytest.param(b"x" * 500, "x" * (LINE_LENGTH - 1) + "…", id="long"),
    ],
)
def test_first_line_is_short_and_printable(body: bytes, line: str) -> None:
    assert first_line(body, b"", []) == line


def test_nothing_is_shown_of_the_response_to_a_long_event() -> None:
    assert first_line(b"too long", b"x" * SEARCHED_DATA, []) == "too long"
    assert first_line(b"too long", b"x" * (SEARCHED_DATA + 1), []) == ""


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        pytest.param("http://sink/?a=b", [], id="none"),
        pytest.param("http://me:p%40ss@sink", ["p%40ss", "p@ss", base64.b64encode(b"me:p@ss").decode()], id="password"),
        pytest.param("http://t0ken@sink", ["t0ken", base64.b64encode(b"t0ken:").decode()], id="user"),
        pytest.param(
            "http://sink/?id=1&key=s3cret%2F88#fragment", ["s3cret%2F88", "s3cret/88", "fragment"], id="query"
        ),
    ],
)
def test_secrets_of_a_url_are_its_password_its_authorization_header_and_long_query_values(
    url: str, secrets: list[str]
) -> None:
    assert list(Destination(url).secrets()) == secrets


def test_token_of_the_audience_is_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "token"
    sink = Destination("http://sink", audience="me", token_file=file)
    assert list(sink.secrets()) == []
    file.write_text(TOKEN)
    assert list(sink.secrets()) == [TOKEN]
