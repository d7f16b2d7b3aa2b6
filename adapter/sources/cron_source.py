"""Sends an event at the times of a cron expression in a time zone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from datetime import date
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from adapter.contract.formats import Json
from adapter.sdk import Context, Event, EventType, Field, Interval, Outcome
from adapter.timing.cron import Cron, Expression
from adapter.timing.scheduled import Scheduled, check_at_most
from adapter.timing.ticks import Plan, ticks
from adapter.timing.times import to_ns

EVENT_TYPE = "dev.knative.cron.tick"
MAX_JITTER = "24h"
_FIELD = "[0-9A-Za-z*,/#-]+"
_SCHEDULE = f"@[a-z]+|{_FIELD}( {_FIELD}){{4,5}}"
_ZONE = "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}"
_SCHEDULE_FORM = 'write a cron expression with five fields, like "0 9 * * MON-FRI"'
_ZONE_FORM = "write the name of an IANA time zone, like Europe/Berlin or UTC"
_DATE_FORM = "write a date like 2026-12-25"
# Names in the files of a system that are not time zones: that of the machine, its default rules, and two directories.
_NO_ZONE = "(?i)(local|localtime|posixrules|factory|(posix|right)(/.*)?)"


def _rules(pattern: str, message: str, forbidden: str = "") -> dict[str, Any]:
    rules = [f"self.matches('^({pattern})$')", *([f"!self.matches('^{forbidden}$')"] if forbidden else [])]
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule in rules]}


def _check_schedule(text: str) -> str:
    if not re.fullmatch(_SCHEDULE, text):
        raise ValueError(_SCHEDULE_FORM)
    Expression(text)
    return text


def _check_zone(name: str) -> str:
    if not re.fullmatch(_ZONE, name) or re.fullmatch(_NO_ZONE, name):
        raise ValueError(_ZONE_FORM)
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # a directory, a file of another kind, or nothing
        raise ValueError(f'there is no time zone "{name}"; {_ZONE_FORM}') from None
    return name


def _check_date(text: str) -> str:
    try:
        date.fromisoformat(text if len(text) == 10 else "")
    except ValueError:
        raise ValueError(_DATE_FORM) from None
    return text


Jitter = Annotated[
    Interval, AfterValidator(partial(check_at_most, MAX_JITTER)), Field(json_schema_extra={"maxDuration": MAX_JITTER})
]
Date = Annotated[
    str,
    Field(max_length=10, json_schema_extra=_rules("[0-9]{4}-[0-9]{2}-[0-9]{2}", _DATE_FORM)),
    AfterValidator(_check_date),
]


class CronSource(Scheduled):
    """Sends an event at the times of a cron expression, such as 9:00 in Berlin on working days."""

    event_types = (
        EventType(
            EVENT_TYPE,
            "The scheduled time in the time zone, the schedule, and spec.data.",
            {
                "type": "object",
                "properties": {
                    "scheduledTime": {"type": "string", "format": "date-time"},
                    "schedule": {"type": "string"},
                    "timeZone": {"type": "string"},
                    "data": {},
                },
            },
        ),
    )

    schedule: Annotated[str, AfterValidator(_check_schedule)] = Field(
        max_length=256,
        description="Cron expression with the fields minute, hour, day of month, month and day of week; with six "
        "fields, the first is the second. Names like MON and JAN, and @hourly, @daily, @weekly, @monthly and @yearly "
        "are allowed.",
        examples=["0 9 * * MON-FRI"],
        json_schema_extra=_rules(_SCHEDULE, _SCHEDULE_FORM),
    )
    time_zone: Annotated[str, AfterValidator(_check_zone)] = Field(
        "UTC",
        alias="timeZone",
        max_length=64,
        description="The IANA time zone of schedule and exclude, such as Europe/Berlin.",
        json_schema_extra=_rules(_ZONE, _ZONE_FORM, _NO_ZONE),
    )
    exclude: list[Date] = Field(
        [], max_length=366, description="Dates in the time zone on which no event is sent, such as 2026-12-25."
    )
    jitter: Jitter | None = Field(
        None,
        description="Each event is sent later by the same time, which is at most jitter and depends on the uid of the "
        "source. So many sources with one schedule do not send at once.",
    )
    data: Json = Field(None, description="Any value. Each event contains it as data.")

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yields the event of each tick when it is due."""
        cron = Cron(
            Expression(self.schedule),
            ZoneInfo(self.time_zone),
            frozenset(map(date.fromisoformat, self.exclude)),
            delay := _delay(context.uid, self.jitter.ns) if self.jitter else 0,
            to_ns(context.created),
            [self.schedule, self.time_zone, *sorted(self.exclude), delay],
        )
        event = partial(self._event_at, cron, context.uid)
        plan = Plan(cron, cron, self._policy(), event, lambda due: {"tick": cron.scheduled(due).isoformat()})
        return ticks(context, plan)

    async def _event_at(self, cron: Cron, uid: str, due: int) -> Event:
        scheduled = cron.scheduled(due)
        data = {"scheduledTime": scheduled.isoformat(), "schedule": self.schedule, "timeZone": self.time_zone}
        if self.data is not None:
            data["data"] = self.data
        return Event(EVENT_TYPE, data, f"{uid}-{scheduled.timestamp():.0f}", scheduled)


def _delay(uid: str, longest_ns: int) -> int:
    """From 0 to ``longest_ns``."""
    digest = hashlib.sha256(f"jitter {uid}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest) % (longest_ns + 1)
