import asyncio
import mimetypes
from collections.abc import AsyncGenerator
from pathlib import Path

from adapter.sdk import Context, Event, EventType, Field, Interval, Outcome, Source


class DirectorySource(Source):
    """Sends the files of a directory in the order of their names, and deletes each file that was accepted."""

    api_version = "samples.example.com/v1"
    event_types = (EventType("com.example.file", "The content of a file."),)
    directory: str = Field(pattern="^/", description="Absolute path of the directory.", examples=["/spool"])
    interval: Interval = Field(Interval("1s"), description="How long to wait after the last file.")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        while True:
            for path in await asyncio.to_thread(lambda: sorted(Path(self.directory).iterdir())):
                if path.is_file() and not path.name.startswith("."):  # a dot: it is still being written
                    key, media_type = f"{path.name}-{path.stat().st_mtime_ns}", mimetypes.guess_type(path.name)[0]
                    body = await asyncio.to_thread(path.read_bytes)
                    outcome = yield Event("com.example.file", body, key, subject=path.name, content_type=media_type)
                    if outcome in (Outcome.DELIVERED, Outcome.DEAD_LETTERED):
                        await asyncio.to_thread(path.unlink)
            await context.clock.sleep_until(context.clock.now() + self.interval.timedelta)

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        return True
