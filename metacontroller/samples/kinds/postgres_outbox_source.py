from collections.abc import AsyncGenerator

import asyncpg  # must be in the image of this kind

from adapter.sdk import Context, Event, Field, Interval, Outcome, SecretText, Source


class PostgresOutboxSource(Source):
    """Sends the rows of the table "outbox", lowest id first, and deletes each row that was accepted."""

    api_version = "samples.example.com/v1"
    url: SecretText = Field(description="URL such as postgresql://user:password@postgres:5432/shop.")
    interval: Interval = Field(Interval("1s"), description="How long to wait for rows if there are none.")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        context.set_unready("not connected to PostgreSQL")
        db = await asyncpg.connect(self.url.get_secret_value(), command_timeout=30)
        context.set_unready(None)
        while True:
            while not (row := await db.fetchrow("SELECT * FROM outbox WHERE due <= now() ORDER BY id LIMIT 1")):
                await context.clock.sleep_until(context.clock.now() + self.interval.timedelta)
            result = yield Event(row["type"], row["data"], str(row["id"]), row["time"], content_type="application/json")
            if result in (Outcome.DELIVERED, Outcome.DEAD_LETTERED):
                await db.execute("DELETE FROM outbox WHERE id = $1", row["id"])
            else:
                await db.execute("UPDATE outbox SET due = now() + interval '1 minute' WHERE id = $1", row["id"])

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        return True
