"""The fields of all sources with ticks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adapter.contract.durations import Interval, parse_duration
from adapter.model.event import Outcome
from adapter.model.source import Source
from adapter.timing.missed import Policy

MAX_WINDOW = "168h"


def _check_window(window: Interval) -> Interval:
    if window.ns > parse_duration(MAX_WINDOW):
        raise ValueError(f'"{window}" is longer than 7 days; write at most {MAX_WINDOW}')
    return window


class Scheduled(Source):
    """A source that sends events at fixed times."""

    keeps_checkpoint = ("missed", "missed_window")

    missed: Literal["skip", "latest", "all"] = Field(
        "skip",
        description="What happens with ticks that could not be sent in time. skip: only the latest is sent, if it is "
        "at most one minute late. latest: the latest is sent, if it is at most missedWindow late. all: all that are at "
        "most missedWindow late are sent, at most the last 1000. latest and all need a checkpoint with url or volume.",
    )
    missed_window: Annotated[Interval, AfterValidator(_check_window)] = Field(
        Interval("1h"),
        alias="missedWindow",
        description="With missed latest or all: how late a tick may be and still be sent, such as 30m; at most 168h.",
        json_schema_extra={"maxDuration": MAX_WINDOW},
    )

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        """True for ``GAVE_UP`` if ``missed`` is ``latest`` or ``all``: the tick is then missed, and not lost."""
        return outcome is Outcome.GAVE_UP and self.missed != "skip"

    def _policy(self) -> Policy:
        return Policy(self.missed, self.missed_window.ns)
