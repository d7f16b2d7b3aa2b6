"""The status that the hook writes. The status schema of each CRD is generated from it.

The fields have no limits: a limit could only make the API server reject a correct status.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic does not support typing.TypedDict before Python 3.12


class Condition(TypedDict):
    """One aspect of the state of the source."""

    type: Annotated[
        str,
        Field(description="SinkProvided, Deployed, DeadLetterSinkResolved or Ready. Ready summarizes the first two."),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="Unknown until the state is known.")]
    lastTransitionTime: Annotated[str, Field(description="When status last changed; RFC 3339, UTC.")]
    reason: Annotated[
        NotRequired[str], Field(description="Machine-readable reason in CamelCase; absent if the status is True.")
    ]
    message: Annotated[
        NotRequired[str], Field(description="What is wrong and what to do about it; absent if the status is True.")
    ]


class CloudEventAttributes(TypedDict):
    """The CloudEvents attributes of one type of event."""

    type: Annotated[str, Field(description="The CloudEvents type.")]
    source: Annotated[str, Field(description="The CloudEvents source.")]


class Address(TypedDict):
    """Where the source receives requests."""

    url: Annotated[str, Field(description="The URL inside the cluster.")]


class AuthStatus(TypedDict):
    """The identity of the source as a caller."""

    serviceAccountName: Annotated[
        str,
        Field(description="The ServiceAccount of the adapter's pod. An EventPolicy that selects the source allows it."),
    ]


class Status(TypedDict):
    """The state of the source."""

    conditions: Annotated[list[Condition], Field(description="The conditions of the source, one per type.")]
    observedGeneration: Annotated[
        NotRequired[int], Field(description="The metadata.generation that this status was computed from.")
    ]
    pool: Annotated[
        NotRequired[str],
        Field(description="The SourcePool that runs this source, or still runs it until a Deployment does."),
    ]
    sinkUri: Annotated[
        NotRequired[str],
        Field(
            description="The URL that events are sent to, without user, password, query and fragment; absent if the "
            "sink is not resolved."
        ),
    ]
    sinkCACerts: Annotated[NotRequired[str], Field(description="PEM certificates that verify the sink.")]
    sinkAudience: Annotated[NotRequired[str], Field(description="The OIDC audience of the sink.")]
    deadLetterSinkUri: Annotated[
        NotRequired[str],
        Field(
            description="The URL for events that the sink does not accept, without user, password, query and fragment; "
            "absent if it is not resolved."
        ),
    ]
    deadLetterSinkCACerts: Annotated[
        NotRequired[str], Field(description="PEM certificates that verify the dead letter sink.")
    ]
    deadLetterSinkAudience: Annotated[NotRequired[str], Field(description="The OIDC audience of the dead letter sink.")]
    auth: Annotated[NotRequired[AuthStatus], Field(description="The identity of the source as a caller.")]
    address: Annotated[NotRequired[Address], Field(description="Where a source that listens receives requests.")]
    ceAttributes: Annotated[
        NotRequired[list[CloudEventAttributes]], Field(description="The types of events that this source sends.")
    ]
