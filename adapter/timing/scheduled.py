"""The fields of all sources with ticks."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adapter.contract.durations import Interval, parse_duration
from adapter.model.event import Outcome
from adapter.model.source import Source
from adapter.timing.missed import Policy

MAX_WINDOW = "168h"


def check_at_most(limit: str, value: Interval) -> Interval:
    """``value``; ``ValueError`` if it is longer than the duration ``limit``. In the CRD: the key ``maxDuration``."""
    if value.ns > parse_duration(limit):
        raise ValueError(f'"{value}" is longer than {limit}; write at most {limit}')
    return value


class Scheduled(Source):
    """A source that sends events at fixed times."""

    missed: Literal["skip", "latest", "all"] = Field(
        "skip",
        description="What happens with ticks that could not be sent in time. skip: only the latest is sent, if it is "
        "at most one minute late. latest: the latest is sent, if it is at most missedWindow late. all: all that are at "
        "most missedWindow late are sent, at most the last 1000. latest and all need a checkpoint with url or volume.",
    )
    missed_window: Annotated[Interval, AfterValidator(partial(check_at_most, MAX_WINDOW))] = Field(
        Interval("1h"),
        alias="missedWindow",
        description="With missed latest or all: how late a tick may be and still be sent, such as 30m; at most 168h.",
        json_schema_extra={"maxDuration": MAX_WINDOW},
    )

    @classmethod
    def fields_that_keep_checkpoint(cls) -> set[str]:
        """All: the checkpoint says of which schedule it is. Another schedule begins when its first process starts."""
        return set(cls.model_fields)

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        """True for ``GAVE_UP`` if ``missed`` is ``latest`` or ``all``: the tick is then missed, and not lost."""
        return outcome is Outcome.GAVE_UP and self.missed != "skip"

    def _policy(self) -> Policy:
        return Policy(self.missed, self.missed_window.ns)
