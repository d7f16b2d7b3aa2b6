"""CronSource under a virtual clock: its events, its missed ticks, and the specs that it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from adapter.sdk import Event, Outcome
from adapter.sources.cron_source import CronSource
from adapter.testing import Deliver, Run, Sink, SinkReply, VirtualClock
from adapter.testing.clock import START
from tests.ticking import Life

FRIDAY = datetime(2026, 3, 27, 7, tzinfo=UTC)  # summer time begins in Berlin on Sunday
HOUR_S = 3600.0


def cron(schedule: str, time_zone: str = "UTC", **fields: Any) -> CronSource:
    return CronSource.model_validate({"schedule": schedule, "timeZone": time_zone, **fields})


def times(events: list[Event]) -> list[str]:
    return [event.data["scheduledTime"] for event in events]


def test_event_has_the_scheduled_time_the_schedule_and_the_data(run: Run) -> None:
    [event] = run(cron("0 9 * * *", "Europe/Berlin", data={"a": [1]}), 1, created=FRIDAY, clock=VirtualClock(FRIDAY))
    assert event.type == "dev.knative.cron.tick"
    assert event.time == datetime(2026, 3, 27, 8, tzinfo=UTC)
    assert event.id == f"u1-{event.time.timestamp():.0f}"
    assert event.data == {
        "scheduledTime": "2026-03-27T09:00:00+01:00",
        "schedule": "0 9 * * *",
        "timeZone": "Europe/Berlin",
        "data": {"a": [1]},
    }


@pytest.mark.parametrize("data", [0, False, "", [], {}])
def test_any_value_but_null_is_data(run: Run, data: Any) -> None:
    assert run(cron("@hourly", data=data), 1)[0].data["data"] == data
    assert "data" not in run(cron("@hourly"), 1)[0].data


def test_time_follows_the_zone_through_the_change_to_summer_time(run: Run) -> None:
    berlin = cron("0 9 * * MON-FRI", "Europe/Berlin")
    events = run(berlin, 2, clock=VirtualClock(FRIDAY), created=FRIDAY)
    assert times(events) == ["2026-03-27T09:00:00+01:00", "2026-03-30T09:00:00+02:00"]


def test_events_of_a_repeated_hour_have_different_ids(run: Run) -> None:
    begin = datetime(2026, 10, 25, tzinfo=UTC)
    events = run(cron("30 * * * *", "Europe/Berlin"), 2, clock=VirtualClock(begin), created=begin)
    assert times(events) == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
    assert len({event.id for event in events}) == 2


def test_excluded_date_has_no_event(run: Run) -> None:
    events = run(cron("0 9 * * *", exclude=["2026-01-01", "2026-01-02"]), 1)
    assert times(events) == ["2026-01-03T09:00:00+00:00"]


def test_no_event_was_due_before_the_creation(run: Run) -> None:
    assert times(run(cron("* * * * *"), 1, created=FRIDAY + timedelta(seconds=1), clock=VirtualClock(FRIDAY))) == [
        "2026-03-27T07:01:00+00:00"
    ]


def test_jitter_delays_each_event_by_the_same_time_and_not_its_time() -> None:
    source = Life(lambda: cron("0 * * * *", jitter="20m"))
    source.process(5 * HOUR_S)
    delays = {sent.at - sent.time for sent in source.sent}
    assert len(delays) == 1
    assert timedelta(seconds=1) < delays.pop() <= timedelta(minutes=20)
    assert {sent.time.minute for sent in source.sent} == {0}
    assert source.skipped == []


def test_event_has_the_same_id_after_a_restart_without_a_checkpoint() -> None:
    source = Life(lambda: cron("*/5 * * * *"), keeps=False)
    source.process(610)
    sent = source.process(600)
    assert sent[0].event == source.sent[2].event
    assert sent[1].event.id != sent[0].event.id


def test_sink_that_is_down_for_minutes_skips_ticks(deliver: Deliver, sink: Sink) -> None:
    sink.answer(SinkReply(503, headers={"Retry-After": "280"}))
    deliver(cron("* * * * *"), sink, 2, clock=VirtualClock(FRIDAY))
    minutes = [event["data"]["scheduledTime"][14:16] for event in sink.taken]
    assert int(minutes[1]) - int(minutes[0]) == 4


@pytest.mark.parametrize(
    ("missed", "window", "sent", "skipped"),
    [
        pytest.param("skip", "1h", [], 48, id="skip"),
        pytest.param("latest", "1h", [49], 47, id="latest"),
        pytest.param("all", "150m", [48, 49], 46, id="all"),
        pytest.param("all", "168h", list(range(2, 50)), 0, id="all-of-a-week"),
    ],
)
def test_outage_of_48_hours(missed: str, window: str, sent: list[int], skipped: int) -> None:
    source = Life(lambda: cron("15 * * * *", "Europe/Berlin", missed=missed, missedWindow=window))
    source.process(2 * HOUR_S)
    source.pause(48 * HOUR_S - 60)
    back = source.now
    late = [each.time for each in source.process(600) if each.time < back]
    assert late == [START + timedelta(hours=n, minutes=15) for n in sent]
    assert source.count_skipped == skipped
    assert [line["from"] for line in source.book.logged("overdue")] == ["2026-01-01T02:15:00.000Z"] * (skipped > 0)


def test_at_most_1000_missed_ticks_are_sent() -> None:
    source = Life(lambda: cron("* * * * *", missed="all", missedWindow="168h"))
    source.process(60)
    source.pause(48 * HOUR_S)
    assert len(source.process(200)) == 1000 + 3
    assert source.count_skipped == 48 * 60 + 1 - 1000


def test_tick_that_the_sink_did_not_accept_is_sent_again() -> None:
    outcomes = iter([Outcome.GAVE_UP, Outcome.DELIVERED, Outcome.DELIVERED])
    source = Life(lambda: cron("@hourly", missed="latest"))
    source.process(1.5 * HOUR_S, lambda clock: next(outcomes))
    assert [sent.time for sent in source.sent] == [START, START, START + timedelta(hours=1)]


def test_names_of_the_first_and_the_next_tick_are_in_the_log() -> None:
    source = Life(lambda: cron("0 * * * *", "Europe/Berlin"))
    source.process(HOUR_S * 1.5)
    source.pause(HOUR_S * 2)
    source.process(HOUR_S)
    assert source.book.logged("timer started")[0]["first_tick"] == "2026-01-01T01:00:00+01:00"
    assert source.book.logged("overdue")[0]["next_tick"] == "2026-01-01T05:00:00+01:00"


@pytest.mark.parametrize(
    "edited",
    [{"schedule": "*/2 * * * *"}, {"timeZone": "Asia/Kolkata"}, {"exclude": ["2025-12-31"]}, {"jitter": "40s"}],
    ids=lambda fields: next(iter(fields)),
)
def test_edit_of_the_ticks_and_its_reversal_send_no_tick_of_the_past(edited: dict[str, Any]) -> None:
    fields = {"schedule": "* * * * *", "missed": "all"}
    source = Life(lambda: CronSource.model_validate(fields))
    source.process(130)
    for spec in (fields | edited, fields):
        source.pause(15)
        source.make = lambda spec=spec: CronSource.model_validate(spec)  # type: ignore[misc]
        begin = source.now
        assert source.process(300)[0].at > begin
    assert CronSource.fields_that_keep_checkpoint() == CronSource.model_fields.keys()
    assert len({sent.event.id for sent in source.sent}) == len(source.sent)
    assert source.skipped == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "0 9 * *"}, 'write a cron expression with five fields, like "0 9 * * MON-FRI"'),
        ({"schedule": "9:00"}, "write a cron expression with five fields"),
        ({"schedule": "* * * * * * *"}, "write a cron expression with five fields"),
        ({"schedule": "0 25 * * *"}, '"0 25 * * *" is not a cron expression: bad hour'),
        ({"timeZone": "Europe/Berln"}, 'there is no time zone "Europe/Berln"; write the name of an IANA time zone'),
        ({"timeZone": "Europe"}, 'there is no time zone "Europe"'),
        ({"timeZone": "Local"}, "write the name of an IANA time zone, like Europe/Berlin or UTC"),
        ({"timeZone": "localtime"}, "write the name of an IANA time zone"),
        ({"timeZone": "/etc/localtime"}, "write the name of an IANA time zone"),
        ({"timeZone": "../UTC"}, "write the name of an IANA time zone"),
        ({"timeZone": "posix/Europe/Berlin"}, "write the name of an IANA time zone"),
        ({"timeZone": ""}, "write the name of an IANA time zone"),
        ({"exclude": ["2026-02-30"]}, "write a date like 2026-12-25"),
        ({"exclude": ["20261225"]}, "write a date like 2026-12-25"),
        ({"exclude": ["2026-12-25"] * 367}, "at most 366 items"),
        ({"jitter": "25h"}, '"25h0m0s" is longer than 24h; write at most 24h'),
        ({"missedWindow": "169h"}, '"169h0m0s" is longer than 168h; write at most 168h'),
    ],
)
def test_invalid_field_is_refused_with_what_to_write(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        CronSource.model_validate({"schedule": "0 9 * * *", **fields})
    [detail] = error.value.errors()
    assert message in detail["msg"]
