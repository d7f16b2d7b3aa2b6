"""Events at the times of a cron expression in a time zone. The image of this kind needs cronsim."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from adapter.sdk import Context, Event, EventType, Field, Outcome, Source


class CronSource(Source):
    """Sends an event at the times of a cron expression."""

    api_version = "samples.example.com/v1"
    event_types = (EventType("com.example.cron", "The scheduled time, in the time zone of the source."),)
    schedule: str = Field(pattern=r"^\S+( \S+){4,5}$", description="Cron expression.", examples=["0 9 * * MON-FRI"])
    time_zone: ZoneInfo = Field(ZoneInfo("UTC"), alias="timeZone", description="Such as Europe/Berlin.")

    def model_post_init(self, _: object) -> None:
        CronSim(self.schedule, datetime.now(self.time_zone))  # raises if the expression is invalid

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        now, recent = context.clock.now, timedelta(minutes=1)  # repeats events that a killed process may have lost
        for due in CronSim(self.schedule, max(context.created, now() - recent).astimezone(self.time_zone)):
            await context.clock.sleep_until(due)
            if now() - due > recent:  # the sink was down, the clock was set forward, or the machine slept
                context.count_missed(1)
                continue
            yield Event("com.example.cron", {"due": due.isoformat()}, f"{context.uid}-{due.timestamp():.0f}", due)
