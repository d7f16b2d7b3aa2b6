"""Events by a cron expression and in a time zone, as Debian's cron reads it. Its image needs cronsim."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from adapter.sdk import Context, Event, EventType, Field, Outcome, Source


class CronSource(Source):
    """Sends an event at the times of a cron expression."""

    api_version = "samples.example.com/v1"
    event_types = (EventType("com.example.cron", "When it was due, in the source's time zone."),)
    schedule: str = Field(pattern=r"^\S+( \S+){4,5}$", description='Like "0 9 * * MON-FRI".', examples=["0 9 * * *"])
    time_zone: ZoneInfo = Field(ZoneInfo("UTC"), alias="timeZone", description="Like Europe/Berlin.")

    def model_post_init(self, _: object) -> None:
        CronSim(self.schedule, datetime.now(self.time_zone))  # refuses what is no expression

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        now, recent = context.clock.now, timedelta(minutes=1)  # what a killed process had in hand comes again
        for due in CronSim(self.schedule, max(context.created, now() - recent).astimezone(self.time_zone)):
            if now() - due > recent:
                context.count_missed(1)
                continue
            await context.clock.sleep_until(due)
            yield Event("com.example.cron", {"due": due.isoformat()}, f"{context.uid}-{due.timestamp():.0f}", due)
