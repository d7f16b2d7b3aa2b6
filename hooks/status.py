"""The status the hook writes, field by field; the CRD's status schema is made from it.

Nothing here has a bound: one could only make the API server refuse an honest status.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic cannot read typing's own before Python 3.12


class Condition(TypedDict):
    """One aspect of whether the source works."""

    type: Annotated[
        str,
        Field(
            description="Ready, or what Ready depends on: SinkProvided, Deployed. DeadLetterSinkResolved stands alone."
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="Unknown: not decided yet.")]
    lastTransitionTime: Annotated[str, Field(description="When status last changed; RFC 3339, UTC.")]
    reason: Annotated[NotRequired[str], Field(description="Why it is not True: one word for programs.")]
    message: Annotated[
        NotRequired[str], Field(description="Why it is not True, and what to do: a sentence for people.")
    ]


class CloudEventAttributes(TypedDict):
    """Attributes that the events of one type share."""

    type: Annotated[str, Field(description="The CloudEvents type.")]
    source: Annotated[str, Field(description="The CloudEvents source.")]


class Address(TypedDict):
    """Where something is called."""

    url: Annotated[str, Field(description="The URL inside the cluster.")]


class Status(TypedDict):
    """Whether the source works, and where its events go."""

    conditions: Annotated[list[Condition], Field(description="Ready, and what it depends on.")]
    observedGeneration: Annotated[
        NotRequired[int], Field(description="The metadata.generation this status was computed for.")
    ]
    sinkUri: Annotated[
        NotRequired[str], Field(description="The URL events are sent to; absent while the sink is not resolved.")
    ]
    sinkCACerts: Annotated[NotRequired[str], Field(description="PEM certificates the sink is trusted by.")]
    sinkAudience: Annotated[NotRequired[str], Field(description="The OIDC audience of the sink.")]
    deadLetterSinkUri: Annotated[
        NotRequired[str],
        Field(description="The URL events go to that the sink does not take; absent while unresolved."),
    ]
    deadLetterSinkCACerts: Annotated[
        NotRequired[str], Field(description="PEM certificates the dead letter sink is trusted by.")
    ]
    deadLetterSinkAudience: Annotated[NotRequired[str], Field(description="The OIDC audience of the dead letter sink.")]
    address: Annotated[NotRequired[Address], Field(description="Where a source that listens is called.")]
    ceAttributes: Annotated[
        NotRequired[list[CloudEventAttributes]], Field(description="The types of events this source sends.")
    ]
